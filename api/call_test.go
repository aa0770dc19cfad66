package api

import (
	"testing"
)

// A body is read as it is meant: each member by its name, once, and nothing else.
func TestDecode(t *testing.T) {
	needs := []string{"topic"}
	for body, fits := range map[string]bool{
		`{"topic": "a"}`: true, ` { "topic" : "a" , "qos" : 1 , "payload_base64": "AQI=" } `: true,
		`{"topic": "a", "topic": "b"}`: false, `{"topic": "a", "qos": 1, "qos": 1}`: false, `{"Topic": "a"}`: false, `{"topic": "a", "RETAIN": true}`: false,
		`{"topic": "a", "other": 1}`: false, `{"topic": null}`: false, `{}`: false, `{"topic": 1}`: false, `{"topic": "a", "qos": 256}`: false, `{"topic": "a", "qos": -1}`: false,
		``: false, `null`: false, `[]`: false, `"topic"`: false, `{`: false, `{"topic"`: false, `{"topic": "a"`: false, `{"topic": "a",}`: false, `{"topic": "a"}}`: false,
		`{"topic": "a"} {}`: false, `{"topic": "a"} x`: false, `{"topic": "a" "qos": 1}`: false, "{\"topic\": \"\xff\"}": false, `{1: 2}`: false,
	} {
		var m NewMessage
		if err := decode([]byte(body), &m, needs); (err == nil) != fits {
			t.Errorf("%s: %v", body, err)
		} else if fits && m.Topic != "a" {
			t.Errorf("%s: %+v", body, m)
		}
	}
}
