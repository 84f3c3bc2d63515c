"""Images that nobody took, with exact masks: fundus photographs, and scenes of many families."""
