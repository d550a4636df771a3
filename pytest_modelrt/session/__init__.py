"""One pytest session of an active plugin: collection, controller and worker, reports, dry run."""
