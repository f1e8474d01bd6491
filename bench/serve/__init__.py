"""How `serve http` stands load."""
