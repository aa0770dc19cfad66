package format

import (
	"errors"
	"strings"
	"testing"
	"time"

	"picket/client"
	"picket/packet"
)

// arrival is the time at which the tests' messages arrive.
var arrival = time.Date(2026, 11, 23, 0, 22, 22, 376280123, time.UTC)

func full() *client.Message {
	p := &packet.Properties{
		PayloadFormat: 1, MessageExpiry: 1000, ContentType: "text/x", ResponseTopic: "r/t", CorrelationData: []byte("abc"),
		User: []packet.UserProperty{{Key: "k1", Value: "v1"}, {Key: "k2", Value: "v2"}},
	}
	p.Set(packet.PayloadFormatIndicator).Set(packet.MessageExpiryInterval).Set(packet.ContentType).Set(packet.ResponseTopic)
	p.Set(packet.CorrelationData).Set(packet.UserProperties)
	return &client.Message{Topic: "f/a", Payload: []byte("he\"llo\\ é/\t\x7fx"), QoS: 1, Retain: true, ID: 1, Props: p, RawProps: p.AppendRaw(nil)}
}

// TestAppend compares with what mosquitto_sub prints for the same message (2.0.11, but for the time of %j, which is 2.0.20's: it was no ISO
// 8601 before).
func TestAppend(t *testing.T) {
	for format, want := range map[string]string{
		`%A|%C|%D|%E|%F|%l|%m|%P|%p|%q|%R|%r|%S|%t|%x|%X|%%`: "|text/x|abc|1000|1|14|1|k1:v1 k2:v2|he\"llo\\ é/\t\x7fx|1|r/t|1||f/a|6865226c6c6f5c20c3a92f097f78|6865226C6C6F5C20C3A92F097F78|%",
		`%10A|%10C|%10D|%10E|%10F|%10l|%10m|%10P`:            "          |    text/x|abc|      1000|         1|        14|         1|k1:v1 k2:v2",
		`%10p|%10q|%10R|%10r|%10S|%10t|%10x|%10X`:            "he\"llo\\ é|1|       r/t|1|          |       f/a|6865226c6c|6865226C6C",
		`%-10C|%-10E|%-10p|%-10R|%-10S|%-10t|%-10x`:          "text/x    |1000      |he\"llo\\ é|r/t       |          |f/a       |6865226c6c",
		`%010A|%010C|%010E|%010R|%010S|%010t`:                "0000000000|    text/x|0000001000|       r/t|0000000000|       f/a",
		`%.2C|%.2E|%.2l|%.2R|%.2t|%5.2t|%-5.2t|%05.2t|%-05t`: "te|1000|14|r/|f/|   f/|f/   |   f/|f/a  ",
		`%40p|%040p|%-20p`:                                   "                          he\"llo\\ é/\t\x7fx|00000000000000000000000000he\"llo\\ é/\t\x7fx|he\"llo\\ é/\t\x7fx      ",
		`%032x|%-30X|`:                                       "00006865226c6c6f5c20c3a92f097f78|6865226C6C6F5C20C3A92F097F78  |",
		`\\|\a|\e|\n|\r|\t|\v|\0|`:                           "\\|\a|\x1b|\n|\r|\t|\v|\x00|",
		`@Y-@m-@d @@ @H:@M|@j|@a|@s`:                         "2026-11-23 @ 00:22|327|Mon|1795393342",
		`%I|%U|@N`:                                           "2026-11-23T00:22:22+0000|1795393342.376280123|376280123",
		`%j`:                                                 `{"tst":"2026-11-23T00:22:22.376280+0000","topic":"f/a","qos":1,"retain":1,"payloadlen":14,"mid":1,"properties":{"payload-format-indicator":1,"message-expiry-interval":1000,"content-type":"text/x","response-topic":"r/t","correlation-data":"abc","user-properties":{"k1":"v1","k2":"v2"}},"payload":"he\"llo\\ é/\t\u007fx"}`,
		"":                                                   "",
	} {
		f, err := Parse(format)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if got, err := f.Append([]byte("> "), full(), arrival); err != nil || string(got) != "> "+want {
			t.Errorf("%s:\n got %q (%v)\nwant %q", format, got, err, want)
		}
	}
}

// TestJSON compares with what mosquitto_sub 2.0.11 prints for the same payload.
func TestJSON(t *testing.T) {
	m := &client.Message{Topic: "f/j", Retain: true, Payload: []byte(`{ "a" : [1, 2.50, 1e3, 12345678901234567890, {}, [], {"x":null,"x":true}], "s":"\u00e9\/\n\u0001" , "big":4294967296, "n":-0.0, "sm": 0.000001234, "f":1e-7 }`)}
	const head = `{"tst":"2026-11-23T00:22:22.376280+0000","topic":"f/j","qos":0,"retain":1,"payloadlen":157,"payload":`
	render := func(format string, pretty bool) (string, error) {
		f, err := Parse(format)
		if err != nil {
			t.Fatal(err)
		}
		f.Pretty = pretty
		out, err := f.Append(nil, m, arrival)
		return string(out), err
	}
	want := head + `{"a":[1,2.5,1000,1.2345678901234567e+19,{},[],{"x":null,"x":true}],"s":"é/\n\u0001","big":4294967296,"n":-0,"sm":1.234e-06,"f":1e-07}}`
	if got, err := render("%J", false); got != want || err != nil {
		t.Errorf("%%J: %v\n got %s\nwant %s", err, got, want)
	}
	want = `{
	"tst":	"2026-11-23T00:22:22.376280+0000",
	"topic":	"f/j",
	"qos":	0,
	"retain":	1,
	"payloadlen":	157,
	"payload":	{
		"a":	[1, 2.5, 1000, 1.2345678901234567e+19, {
			}, [], {
				"x":	null,
				"x":	true
			}],
		"s":	"é/\n\u0001",
		"big":	4294967296,
		"n":	-0,
		"sm":	1.234e-06,
		"f":	1e-07
	}
}`
	if got, err := render("%J", true); got != want || err != nil {
		t.Errorf("%%J pretty: %v\n got %s\nwant %s", err, got, want)
	}
	var wrong *JSONError
	for _, payload := range []string{"{", "a", "1 2", `{"a":}`, "\xff"} {
		m.Payload = []byte(payload)
		if got, err := render("<%J>", false); !errors.As(err, &wrong) || got != "<>" {
			t.Errorf("%%J of %q: %q, %v", payload, got, err)
		}
	}
	m.Payload = nil
	if got, err := render("%J", false); err != nil || !strings.HasSuffix(got, `"payload":null}`) {
		t.Errorf("%%J of nothing: %s, %v", got, err)
	}
}

func TestParseErrors(t *testing.T) {
	for format, want := range map[string]string{
		"%": "Incomplete format specifier.", "%5": "Incomplete format specifier.", "%.": "Incomplete format specifier.",
		"%-": "Incomplete format specifier.", "%0": "Incomplete format specifier.", "@": "Incomplete format specifier.",
		`\`: "Incomplete escape specifier.", "%z": "Invalid format specifier 'z'.", `\q`: "Invalid escape specifier 'q'.",
	} {
		if _, err := Parse(format); err == nil || err.Error() != want {
			t.Errorf("Parse(%q): %v, want %s", format, err, want)
		}
	}
}

// FuzzFormat takes formats and payloads from strangers.
func FuzzFormat(f *testing.F) {
	f.Add("%10p %J", []byte(`{"a":[1,{"b":null}]}`), []byte{0x26, 0, 1, 'a', 0, 1, 'b'})
	f.Add("%-05.3t@Y%j", []byte("\x00\xff"), []byte{0x0b, 0x80})
	f.Fuzz(func(t *testing.T, format string, payload, raw []byte) {
		parsed, err := Parse(format)
		if err != nil {
			return
		}
		order(raw)
		m := full()
		m.Payload = payload
		for _, parsed.Pretty = range []bool{false, true} {
			_, _ = parsed.Append(nil, m, arrival)
		}
	})
}
