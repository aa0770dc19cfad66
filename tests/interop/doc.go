// Package interop holds no code, only tests: one scenario, run by every client that people use against the picket binary.
//
// The clients are mosquitto_pub and mosquitto_sub, Eclipse paho for Python, MQTT.js, and paho's two libraries for Go, each in
// every protocol version that it speaks. What is in the way of one of them is a failure that says how to install it:
//
//	apt-get install mosquitto mosquitto-clients python3-paho-mqtt nodejs npm
//
// Node-RED runs a flow of its own, as people install it. MQTT.js and Node-RED are installed from their package-lock.json by the tests themselves (Node-RED: 95 MB
// in nodered/node_modules). The same scenario against another broker:
//
//	go test ./tests/interop -broker 'mosquitto -c ${CONF}'
package interop
