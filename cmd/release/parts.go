package main

import (
	"debug/buildinfo"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The parts of a CycloneDX 1.6 document that are used here.
type bom struct {
	Format       string      `json:"bomFormat"`
	Spec         string      `json:"specVersion"`
	Version      int         `json:"version"`
	Metadata     metadata    `json:"metadata"`
	Components   []component `json:"components"`
	Dependencies []depends   `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type depends struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// parts writes the list of what is in a binary, as the binary itself has it.
func (r *release) parts(t target) error {
	info, err := buildinfo.ReadFile(r.binary(t))
	if err != nil {
		return err
	}
	own := component{Type: "application", Ref: "picket", Name: "picket", Version: r.version, Properties: []property{{"picket:commit", r.commit}, {"picket:platform", t.String()}}}
	document := bom{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{r.date.Format(time.RFC3339), own}}
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	document.Components = []component{{Type: "library", Ref: "pkg:golang/std@" + goVersion, Name: "std", Version: goVersion, PURL: "pkg:golang/std@" + goVersion}}
	for _, m := range info.Deps {
		c := component{Type: "library", Name: m.Path, Version: m.Version}
		c.PURL = "pkg:golang/" + m.Path + "@" + url.PathEscape(m.Version)
		if m.Sum != "" {
			c.Properties = append(c.Properties, property{"go:sum", m.Sum})
		}
		if m.Replace != nil {
			c.PURL = "" // it is not what is to be had under this name
			c.Properties = append(c.Properties, property{"go:replaced-by", m.Replace.Path})
		}
		c.Ref = m.Path + "@" + m.Version
		document.Components = append(document.Components, c)
	}
	all := depends{Ref: own.Ref}
	for _, c := range document.Components {
		all.On = append(all.On, c.Ref)
	}
	slices.Sort(all.On)
	document.Dependencies = []depends{all}
	return r.create("picket-"+r.version+"-"+t.file()+".cdx.json", func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(document)
	})
}
