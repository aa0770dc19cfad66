// Package interop holds no code, only tests: one scenario, run by every client that people use against the picket binary.
//
// The clients are mosquitto_pub and mosquitto_sub, Eclipse paho for Python, MQTT.js, and paho's two libraries for Go, each in
// every protocol version that it speaks. What is in the way of one of them is a failure that says how to install it:
//
//	apt-get install mosquitto mosquitto-clients python3-paho-mqtt nodejs npm
//
// MQTT.js is installed from package-lock.json by the test itself. The same scenario against another broker:
//
//	go test ./tests/interop -broker 'mosquitto -c ${CONF}'
package interop
