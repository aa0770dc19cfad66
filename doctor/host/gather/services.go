package gather

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"picket/doctor/host"
)

// services asks systemd for the brokers' units.
func (g *gatherer) services() {
	if !g.exists("/run/systemd/system") {
		return // another service manager, or none
	}
	units := []string{"mosquitto.service", "picket.service", "emqx.service"}
	for _, b := range g.brokers {
		if b.fact.Unit != "" && !slices.Contains(units, b.fact.Unit) {
			units = append(units, b.fact.Unit)
		}
	}
	for _, unit := range units {
		out, err := g.Run(g.ctx, "systemctl", "show", unit, "-p", "LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,ExecMainCode,ExecMainStatus,ConditionResult,ConditionTimestampMonotonic,MainPID")
		if errors.Is(err, errMissing) {
			return
		}
		if err != nil {
			g.unread("service", err)
			return
		}
		if s, ok := parseShow(unit, string(out)); ok {
			g.add(s)
		}
	}
}

// parseShow reads what systemctl show prints; false when there is no such unit.
func parseShow(unit, text string) (s host.Service, ok bool) {
	s.Unit = unit
	asked := false // whether its conditions have been looked at: before that they count as unmet
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		number, _ := strconv.Atoi(value) // not of words
		switch name {
		case "LoadState":
			s.Load, ok = value, value != "not-found" && value != "stub" && value != "merged"
		case "ActiveState":
			s.Active = value
		case "SubState":
			s.Sub = value
		case "Result":
			s.Result = value
		case "UnitFileState":
			s.Enabled = value
		case "NRestarts":
			s.Restarts = number
		case "ExecMainCode": // of waitid(2): 2 killed, 3 killed with a core
			s.Killed = value == "2" || value == "3"
		case "ConditionResult":
			s.Unmet = value == "no"
		case "ConditionTimestampMonotonic":
			asked = number > 0
		case "ExecMainStatus":
			s.Status = number
		case "MainPID":
			s.PID = number
		}
	}
	s.Unmet = s.Unmet && asked
	return s, ok && s.Active != ""
}

// images are parts of the names of images with a broker.
var images = []string{"mosquitto", "emqx", "hivemq", "nanomq", "vernemq", "picket", "rmqtt", "mqtt"}

// dockerSocket is where Docker answers, unless its environment says something else.
const dockerSocket = "/var/run/docker.sock"

// docker asks Docker for containers with a broker, and looks for its proxies.
func (g *gatherer) docker() {
	if os.Getenv("DOCKER_HOST") == "" && !g.exists(dockerSocket) {
		return // it does not run, and passes nothing on
	}
	g.doing("asking Docker", "查询 Docker")
	out, err := g.Run(g.ctx, "docker", "ps", "--no-trunc", "--format", "{{json .}}")
	if err != nil && !errors.Is(err, errMissing) && strings.Contains(err.Error(), "ermission denied") {
		g.unread("docker", err)
	}
	published := make(map[string]bool)
	for _, c := range parseDocker(out) {
		if !slices.ContainsFunc(images, func(name string) bool { return strings.Contains(strings.ToLower(c.Image), name) }) {
			continue
		}
		ports := parsePublished(c.Ports)
		if len(ports) == 0 && c.Networks != "host" {
			g.add(host.Container{Name: c.Names, Image: c.Image, Ports: c.Ports})
		}
		for _, p := range ports {
			p.Container, p.Image = c.Names, c.Image
			g.publish(p, published)
		}
	}
	for _, p := range g.proxies() {
		if g.interested(p.Port) {
			g.publish(p, published)
		}
	}
}

func (g *gatherer) publish(p host.Published, known map[string]bool) {
	key := p.Address + " " + strconv.Itoa(p.Port)
	if known[key] {
		return
	}
	known[key] = true
	g.look(p.Port)
	g.add(p)
}

// dockerLine is a line of docker ps --format '{{json .}}'.
type dockerLine struct{ Names, Image, Ports, Networks string }

func parseDocker(out []byte) (all []dockerLine) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, maxRead)
	for lines.Scan() {
		var l dockerLine
		if json.Unmarshal(lines.Bytes(), &l) == nil {
			all = append(all, l)
		}
	}
	return all
}

// parsePublished reads docker ps' column PORTS: "0.0.0.0:1883->1883/tcp, [::]:1883->1883/tcp, 9001/tcp".
func parsePublished(text string) (all []host.Published) {
	for part := range strings.SplitSeq(text, ", ") {
		from, to, ok := strings.Cut(part, "->")
		to, tcp := strings.CutSuffix(to, "/tcp")
		i := strings.LastIndexByte(from, ':')
		if !ok || !tcp || i < 0 {
			continue
		}
		address := strings.Trim(from[:i], "[]")
		if address == "::" || address == ":" || address == "" {
			address = "::"
		}
		first, last, ranged := strings.Cut(from[i+1:], "-")
		low, errLow := strconv.Atoi(first)
		high, errHigh := low, error(nil)
		if ranged {
			high, errHigh = strconv.Atoi(last)
		}
		if errLow != nil || errHigh != nil || low < 1 || high > 65535 || high-low > 100 {
			continue
		}
		for port := low; port <= high; port++ {
			all = append(all, host.Published{Address: address, Port: port, Target: to, By: "docker ps"})
		}
	}
	return all
}

// proxies are the ports that Docker's proxy processes pass on.
func (g *gatherer) proxies() (all []host.Published) {
	proc, err := procfs.NewFS(g.path("/proc"))
	if err != nil {
		return nil
	}
	processes, err := proc.AllProcs()
	if err != nil {
		return nil
	}
	for _, p := range processes {
		args, err := p.CmdLine()
		if err != nil || len(args) == 0 || !strings.HasSuffix(args[0], "docker-proxy") || flagValue(args, "-proto") != "tcp" {
			continue
		}
		port, err := strconv.Atoi(flagValue(args, "-host-port"))
		if err != nil {
			continue
		}
		all = append(all, host.Published{
			Address: flagValue(args, "-host-ip"), Port: port, Target: flagValue(args, "-container-ip") + ":" + flagValue(args, "-container-port"), By: "docker-proxy",
		})
	}
	return all
}

// flagValue is the value of a flag with one dash, as Go's flag package has them.
func flagValue(args []string, name string) string {
	i := slices.Index(args, name)
	if i < 0 || i+1 >= len(args) {
		return ""
	}
	return args[i+1]
}
