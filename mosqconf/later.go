package mosqconf

import (
	"net/url"
	"slices"
	"strings"

	"picket/packet"
)

// versionNumbers are the protocol levels of CONNECT, as accept_protocol_versions counts.
var versionNumbers = map[string]packet.Version{"3": packet.V31, "4": packet.V311, "5": packet.V5}

// acceptVersions: the numbers have commas or blanks between them. As in mosquitto 2.1 the last line counts; it passes over numbers that there are not, so that a
// listener may take nobody.
func (p *parser) acceptVersions(f *fileState, l line) {
	b := f.option(l)
	words := strings.FieldsFunc(strings.Join(l.words(), " "), func(r rune) bool { return r == ',' || r == ' ' })
	if len(words) == 0 {
		p.empty(l)
		return
	}
	b.config.Versions = nil
	for _, w := range words {
		v, ok := versionNumbers[w]
		if !ok {
			p.invalid(l, w, "It is 3 (MQTT 3.1), 4 (3.1.1) and 5, with commas between them.")
			return
		}
		if !slices.Contains(b.config.Versions, v) {
			b.config.Versions = append(b.config.Versions, v)
		}
	}
}

// websocketsOrigin may be given several times: the origins add up. One that no browser sends would let nobody in, or, in mosquitto 2.1, which compares beginnings only, somebody else.
func (p *parser) websocketsOrigin(f *fileState, l line) {
	b := f.option(l)
	value, ok := p.word(l)
	if !ok {
		return
	}
	origin := strings.ToLower(value)
	u, err := url.Parse(origin)
	if origin != "null" && (err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin) {
		p.invalid(l, value, "It is what a browser sends as the Origin, such as https://www.example.com or http://192.0.2.10:8080, without a path.")
		return
	}
	b.originLine = l
	if !slices.Contains(b.config.Origins, origin) {
		b.config.Origins = append(b.config.Origins, origin)
	}
}
