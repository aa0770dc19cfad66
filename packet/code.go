package packet

// Code is a reason code (MQTT 5.0, table 2-6).
type Code byte
