// Package cluster has no code: its tests run several brokers as nodes of one cluster, on a redis-server of their own.
package cluster
