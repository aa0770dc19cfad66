//go:build race

package sentinel

const raceDetector = true
