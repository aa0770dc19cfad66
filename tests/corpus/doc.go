// Package corpus holds tests alone: configurations of the shapes that people have, started in Debian's mosquitto and in Picket, which have to do the same in
// what clients see.
package corpus
