"""Where things lie in a node's data folder."""

DATABASE = "erhai.db"
FENCE = "fence/released"
KEYS = "keys"
ROOM_KEY = "keys/room.key"
BLOBS = "blobs"
TRUST = "trust"  # the CRL of nodes
ADDRESSES = "trust/addresses.json"  # where peers without a url were last proven to be
SETTINGS = "erhai.toml"
NEXT_KEYS = "keys.next"  # of an epoch that is being opened
NEXT_FENCE = "fence/released.next"
