"""Push notifications: what streams deliver, sent to devices that are not connected."""
