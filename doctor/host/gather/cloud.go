package gather

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"picket/doctor"
	"picket/doctor/host"
)

// dmi says which cloud a machine runs in by what its firmware says of itself. It is read first, since a question to a metadata service that
// is not there would go to whoever has its address.
var dmi = []struct {
	file, part string
	cloud      string
}{
	{"sys_vendor", "Alibaba Cloud", "alibaba"},
	{"product_name", "Alibaba Cloud", "alibaba"},
	{"sys_vendor", "Tencent Cloud", "tencent"},
	{"product_name", "CVM", "tencent"},
	{"sys_vendor", "Huawei", "huawei"},
	{"chassis_asset_tag", "HUAWEICLOUD", "huawei"},
	{"sys_vendor", "Amazon EC2", "aws"},
	{"board_vendor", "Amazon EC2", "aws"},
	{"bios_vendor", "Amazon EC2", "aws"},
	{"chassis_asset_tag", "OracleCloud.com", "oracle"},
	{"sys_vendor", "Google", "google"},
	{"product_name", "Google Compute Engine", "google"},
	{"chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77", "azure"}, // Azure's; other machines of Microsoft's Hyper-V have another
	{"sys_vendor", "DigitalOcean", "DigitalOcean"},
	{"sys_vendor", "Hetzner", "Hetzner"},
	{"sys_vendor", "Vultr", "Vultr"},
	{"sys_vendor", "Linode", "Linode"},
	{"sys_vendor", "OVHcloud", "OVHcloud"},
	{"sys_vendor", "Scaleway", "Scaleway"},
}

// cloud tells which cloud the machine runs in, and asks its metadata service for the public address.
func (g *gatherer) cloud() {
	for _, d := range dmi {
		if !strings.Contains(g.word("/sys/class/dmi/id/"+d.file), d.part) {
			continue
		}
		c := host.Cloud{Name: d.cloud, By: "DMI", Public: []string{}}
		g.doing("asking the cloud's metadata service", "查询云平台元数据")
		public, err := g.metadata(d.cloud)
		switch {
		case errors.Is(err, errNoService):
		case err != nil:
			g.unread("metadata", err)
		default:
			c.Public, c.Asked = append(c.Public, public...), true
			g.public = append(g.public, public...)
		}
		g.add(c)
		return
	}
}

// publicKnown says so when nothing tells the machine's address on the internet.
func (g *gatherer) publicKnown() {
	asked := slices.ContainsFunc(g.facts, func(f doctor.Fact) bool { c, ok := f.(host.Cloud); return ok && c.Asked })
	own := slices.ContainsFunc(g.own.All, func(a host.Address) bool { return a.Reach == "internet" })
	if !asked && !own && len(g.public) == 0 {
		g.add(host.PublicUnknown{})
	}
}

var errNoService = errors.New("this cloud's metadata service is not known, or does not tell public addresses")

// question is one that a metadata service answers.
type question struct {
	method, url string
	header      [2]string
}

// services are the clouds' questions for public addresses, by each cloud's own documentation. Oracle's service does not tell them.
var metadataServices = map[string][]question{
	"alibaba": {{"GET", "http://100.100.100.200/latest/meta-data/eipv4", [2]string{}}, {"GET", "http://100.100.100.200/latest/meta-data/public-ipv4", [2]string{}}},
	"tencent": {{"GET", "http://metadata.tencentyun.com/latest/meta-data/public-ipv4", [2]string{}}},
	"huawei":  {{"GET", "http://169.254.169.254/latest/meta-data/public-ipv4", [2]string{}}},
	"aws":     {{"GET", "http://169.254.169.254/latest/meta-data/public-ipv4", [2]string{"X-aws-ec2-metadata-token", awsToken}}},
	"google":  {{"GET", "http://169.254.169.254/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip", [2]string{"Metadata-Flavor", "Google"}}},
	"azure":   {{"GET", "http://169.254.169.254/metadata/instance/network?api-version=2021-02-01", [2]string{"Metadata", "true"}}},
}

// awsToken stands for the token that AWS' service wants, which it gives itself (IMDSv2).
const awsToken = "TOKEN"

const awsTokenURL = "http://169.254.169.254/latest/api/token"

// metadataLimit bounds all questions to a service together: it is on the same machine or next to it, or it is not there.
const metadataLimit = 2 * time.Second

// metadata asks a cloud's service for the machine's public addresses.
func (g *gatherer) metadata(cloud string) (public []string, err error) {
	questions := metadataServices[cloud]
	if len(questions) == 0 {
		return nil, errNoService
	}
	ctx, cancel := context.WithTimeout(g.ctx, metadataLimit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy: the service is never behind one
	answered := false
	for _, q := range questions {
		if q.header[1] == awsToken {
			token, tokenErr := g.askMetadata(ctx, client, question{"PUT", awsTokenURL, [2]string{"X-aws-ec2-metadata-token-ttl-seconds", "60"}})
			if tokenErr != nil {
				return nil, tokenErr
			}
			q.header[1] = strings.TrimSpace(token)
		}
		var text string
		text, err = g.askMetadata(ctx, client, q)
		var status *statusError
		switch {
		case errors.As(err, &status): // it is there, and has no such thing
			answered = true
		case err != nil:
			continue
		default:
			answered = true
			public = append(public, publicAddresses(text)...)
		}
	}
	if !answered {
		return nil, err
	}
	slices.Sort(public)
	return slices.Compact(public), nil
}

// statusError is an answer of a service that is no success.
type statusError struct{ status string }

func (e *statusError) Error() string { return "the service answered " + e.status }

func (g *gatherer) askMetadata(ctx context.Context, client *http.Client, q question) (string, error) {
	address := q.url
	if g.Metadata != "" {
		u, err := url.Parse(q.url)
		if err != nil {
			return "", err
		}
		address = g.Metadata + u.RequestURI()
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

// publicAddresses finds addresses in an answer: one on a line, or Azure's JSON.
func publicAddresses(text string) (all []string) {
	var azure struct {
		Interface []struct {
			IPv4 struct {
				Address []struct {
					Public string `json:"publicIpAddress"`
				} `json:"ipAddress"`
			} `json:"ipv4"`
		} `json:"interface"`
	}
	candidates := strings.Fields(text)
	if json.Unmarshal([]byte(text), &azure) == nil {
		candidates = nil
		for _, i := range azure.Interface {
			for _, a := range i.IPv4.Address {
				candidates = append(candidates, a.Public)
			}
		}
	}
	for _, c := range candidates {
		if a, err := netip.ParseAddr(c); err == nil {
			all = append(all, fmt.Sprint(a))
		}
	}
	return all
}
