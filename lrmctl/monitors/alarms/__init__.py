"""The alarms, one file per kind of evidence."""
