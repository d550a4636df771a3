"""The plan and the campaign settings as typed, validated data."""
