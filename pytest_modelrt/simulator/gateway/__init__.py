"""The gateway in front of the models: routing, authentication, limits (facts: maas-kind.md, section 3).

Istio's and Kuadrant's parts as programs of their pods: ``istiod`` and the proxy, the Kuadrant operator, Authorino,
Limitador, and maas-api. They read objects from the API; among themselves they talk in process.
"""
