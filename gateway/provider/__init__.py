"""What the provider's manual defines, pure: codes and what they mean. Nothing here connects to anything."""
