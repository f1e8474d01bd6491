"""What a second model adds that weighs what the first holds possible."""
