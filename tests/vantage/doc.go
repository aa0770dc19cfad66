// Package vantage tests "picket doctor --server" and its second vantage point, "picket echo serve --probe", as programs: machines are network
// namespaces with nftables rules, the brokers a real mosquitto and a real Picket.
package vantage
