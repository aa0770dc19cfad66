// Package detect finds out in which cloud a machine runs, and which public addresses the cloud has given it.
//
// What the firmware says of itself is read first, since a question to a metadata service that is not there would go to whoever has its address.
// The service lies on the machine's own host or next to it: nobody outside is asked.
package detect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// firmware says which cloud a machine runs in by what its firmware says of itself. The first that fits counts: clouds that are built with
// OpenStack have names of their own before OpenStack's.
var firmware = []struct{ file, part, cloud string }{
	{"sys_vendor", "Alibaba Cloud", "alibaba"},
	{"product_name", "Alibaba Cloud", "alibaba"},
	{"sys_vendor", "Tencent Cloud", "tencent"},
	{"product_name", "CVM", "tencent"},
	{"sys_vendor", "Huawei", "huawei"},
	{"chassis_asset_tag", "HUAWEICLOUD", "huawei"},
	{"sys_vendor", "Baidu", "baidu"},
	{"product_name", "Baidu", "baidu"},
	{"sys_vendor", "JD Cloud", "jd"},
	{"sys_vendor", "JDCloud", "jd"},
	{"product_name", "JDCloud", "jd"},
	{"sys_vendor", "UCloud", "ucloud"},
	{"product_name", "UCloud", "ucloud"},
	{"sys_vendor", "Volcengine", "volcengine"},
	{"sys_vendor", "ByteDance", "volcengine"},
	{"product_name", "Volcengine", "volcengine"},
	{"sys_vendor", "Amazon EC2", "aws"},
	{"board_vendor", "Amazon EC2", "aws"},
	{"bios_vendor", "Amazon EC2", "aws"},
	{"chassis_asset_tag", "OracleCloud.com", "oracle"},
	{"sys_vendor", "Google", "google"},
	{"product_name", "Google Compute Engine", "google"},
	{"chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "azure"}, // Azure's; other machines of Microsoft's Hyper-V have another
	{"sys_vendor", "DigitalOcean", "digitalocean"},
	{"sys_vendor", "Hetzner", "hetzner"},
	{"sys_vendor", "Vultr", "vultr"},
	{"sys_vendor", "Linode", "linode"},
	{"sys_vendor", "Akamai", "linode"},
	{"sys_vendor", "OVHcloud", "ovh"},
	{"sys_vendor", "OVH", "ovh"},
	{"sys_vendor", "Scaleway", "scaleway"},
	{"sys_vendor", "OpenStack", "openstack"},
	{"product_name", "OpenStack", "openstack"},
}

// Detector says where to look. The zero value looks at this machine.
type Detector struct {
	Root     string // in place of /, for tests
	Metadata string // URL in place of the services', for tests
}

// Cloud tells in which cloud the machine runs, by its id in package cloud; empty when the firmware names none.
func (d Detector) Cloud() string {
	for _, f := range firmware {
		data, err := os.ReadFile(filepath.Join("/", d.Root, "sys/class/dmi/id", f.file))
		if err == nil && strings.Contains(strings.ToLower(string(data)), strings.ToLower(f.part)) {
			return f.cloud
		}
	}
	return ""
}

// ErrNoService: the cloud's metadata service is not known, or does not tell public addresses.
var ErrNoService = errors.New("this cloud's metadata service is not known, or does not tell public addresses")

// question is one that a metadata service answers.
type question struct {
	method, url string
	header      [2]string
}

func get(address string) question { return question{http.MethodGet, address, [2]string{}} }

const linkLocal = "http://169.254.169.254"

// services are the clouds' questions for public addresses, by each cloud's own documentation. Oracle's service does not tell them, and at
// Linode the address is the machine's own.
var services = map[string][]question{
	"alibaba":      {get("http://100.100.100.200/latest/meta-data/eipv4"), get("http://100.100.100.200/latest/meta-data/public-ipv4")},
	"tencent":      {get("http://metadata.tencentyun.com/latest/meta-data/public-ipv4")},
	"huawei":       {get(linkLocal + "/latest/meta-data/public-ipv4")},
	"baidu":        {get(linkLocal + "/1.0/meta-data/public-ipv4")},
	"volcengine":   {get("http://100.96.0.96/latest/eip_address")},
	"aws":          {{http.MethodGet, linkLocal + "/latest/meta-data/public-ipv4", [2]string{"X-aws-ec2-metadata-token", awsToken}}},
	"google":       {{http.MethodGet, linkLocal + "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip", [2]string{"Metadata-Flavor", "Google"}}},
	"azure":        {{http.MethodGet, linkLocal + "/metadata/instance/network?api-version=2021-02-01", [2]string{"Metadata", "true"}}},
	"digitalocean": {get(linkLocal + "/metadata/v1/reserved_ip/ipv4/ip_address"), get(linkLocal + "/metadata/v1/interfaces/public/0/ipv4/address")},
	"hetzner":      {get(linkLocal + "/hetzner/v1/metadata/public-ipv4")},
	"vultr":        {get(linkLocal + "/v1/interfaces/0/ipv4/address")},
	"ovh":          {get(linkLocal + "/latest/meta-data/public-ipv4")},
	"scaleway":     {get("http://169.254.42.42/conf?format=json")},
	"openstack":    {get(linkLocal + "/latest/meta-data/public-ipv4")},
}

// awsToken stands for the token that AWS' service wants, which it gives itself (IMDSv2).
const awsToken = "TOKEN"

const awsTokenURL = linkLocal + "/latest/api/token"

// Limit bounds all questions to a service together: it is on the same machine or next to it, or it is not there.
const Limit = 2 * time.Second

// Public asks a cloud's metadata service for the machine's public addresses, which takes [Limit] at most. The error is ErrNoService where there
// is nobody to ask.
func (d Detector) Public(ctx context.Context, cloud string) (public []netip.Addr, err error) {
	questions := services[cloud]
	if len(questions) == 0 {
		return nil, ErrNoService
	}
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy: the service is never behind one
	answered := false
	for _, q := range questions {
		if q.header[1] == awsToken {
			token, tokenErr := d.ask(ctx, client, question{http.MethodPut, awsTokenURL, [2]string{"X-aws-ec2-metadata-token-ttl-seconds", "60"}})
			if tokenErr != nil {
				return nil, tokenErr
			}
			q.header[1] = strings.TrimSpace(token)
		}
		var text string
		text, err = d.ask(ctx, client, q)
		var status *statusError
		switch {
		case errors.As(err, &status): // it is there, and has no such thing
			answered = true
		case err != nil:
			continue
		default:
			answered = true
			public = append(public, addresses(text)...)
		}
	}
	if !answered {
		return nil, err
	}
	slices.SortFunc(public, netip.Addr.Compare)
	return slices.Compact(public), nil
}

// statusError is an answer of a service that is no success.
type statusError struct{ status string }

func (e *statusError) Error() string { return "the service answered " + e.status }

func (d Detector) ask(ctx context.Context, client *http.Client, q question) (string, error) {
	address := q.url
	if d.Metadata != "" {
		u, err := url.Parse(q.url)
		if err != nil {
			return "", err
		}
		address = d.Metadata + u.RequestURI()
	}
	request, err := http.NewRequestWithContext(ctx, q.method, address, nil)
	if err != nil {
		return "", err
	}
	if q.header[0] != "" {
		request.Header.Set(q.header[0], q.header[1])
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if response.StatusCode/100 != 2 {
		return "", &statusError{response.Status}
	}
	return string(text), nil
}

// addresses finds addresses in an answer: one on a line, or in JSON what lies below a key that says public.
func addresses(text string) (all []netip.Addr) {
	var tree any
	if json.Unmarshal([]byte(text), &tree) == nil {
		return inTree(tree, false)
	}
	for _, word := range strings.Fields(text) {
		if a, err := netip.ParseAddr(word); err == nil && !a.IsUnspecified() {
			all = append(all, a)
		}
	}
	return all
}

func inTree(tree any, public bool) (all []netip.Addr) {
	switch t := tree.(type) {
	case map[string]any:
		for key, below := range t {
			all = append(all, inTree(below, public || strings.HasPrefix(key, "public"))...)
		}
	case []any:
		for _, below := range t {
			all = append(all, inTree(below, public)...)
		}
	case string:
		if a, err := netip.ParseAddr(t); err == nil && public && !a.IsUnspecified() {
			all = append(all, a)
		}
	}
	return all
}
