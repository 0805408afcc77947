"""Speed against peers in the same run. Nothing here is asserted."""
