"""What every test relies on."""

import signal

# A job in the background may have been started with Ctrl-C ignored, and so would be all it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
