"""The alarms that monitors raise, one file for each kind of evidence."""
