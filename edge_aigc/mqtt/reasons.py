"""Reason codes of MQTT 5, section 2.4; paho translates those of 3.1.1 into them."""

NO_MATCHING_SUBSCRIBERS = 16
FAILURE = 128
"""From here on a request failed."""
UNSUPPORTED_VERSION = 132
"""paho reports the 1 of brokers before MQTT 5 as the same."""
BAD_PASSWORD = 134
NOT_AUTHORIZED = 135
TAKEN_OVER = 142
PACKET_TOO_LARGE = 149
