// Package bridge tests bridges between real brokers: Picket's to Debian's mosquitto, mosquitto's to Picket, and Picket's to Picket.
package bridge
