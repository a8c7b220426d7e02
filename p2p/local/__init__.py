"""What of a node stays on its own machine: nothing in here speaks to peers.

::

    home         a node's folder: key, configuration, genesis, database
    handover     a validator's signing state, on its way to another machine
    telemetry    logs, metrics, the last head moves
    face         what the local face answers
    http         the local face: status, submission, metrics
"""
