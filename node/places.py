"""Where things lie in a node's data folder."""

DATABASE = "erhai.db"
FENCE = "fence/released"
KEYS = "keys"
ROOM_KEY = "keys/room.key"
BLOBS = "blobs"
TRUST = "trust"  # the CRL of nodes
ADDRESSES = "trust/addresses.json"  # where peers without a url were last proven to be
ANCHORS = "trust/persons"  # anchors of persons' certificates, their CRLs and issuing certificates
SETTINGS = "erhai.toml"
ENROLLING = "keys.enrolling"  # keys that wait for their certificate
ROSTER = "keys/peers.toml"  # peers as the prefecture enrolled them
PIN_FAILURES = "pin-failures.json"  # wrong PINs at the terminal in the last minutes
NEXT_KEYS = "keys.next"  # of an epoch that is being opened
NEXT_FENCE = "fence/released.next"
