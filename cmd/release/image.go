package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// brokerID is the user and the group that the broker becomes in a container: eclipse-mosquitto's, so that folders which that image has filled
// can be used.
const brokerID = 1883

func itoa(n int) string { return strconv.Itoa(n) }

// image writes an OCI archive with an image for each Linux target: two layers, of what seldom changes and of the program.
func (r *release) image(all []target) error {
	base, err := r.baseLayer()
	if err != nil {
		return err
	}
	var index v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, t := range all {
		image, err := r.imageFor(t, base)
		if err != nil {
			return err
		}
		platform := &v1.Platform{OS: t.os, Architecture: t.arch}
		if t.arm != "" {
			platform.Variant = "v" + t.arm
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform, MediaType: types.OCIManifestSchema1}})
	}
	dir := filepath.Join(r.work, "oci")
	archive, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	// What engines call it once it is loaded.
	err = archive.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name": "docker.io/library/picket:latest", "org.opencontainers.image.ref.name": r.version,
	}))
	if err != nil {
		return err
	}
	entries, err := ociFiles(dir)
	if err != nil {
		return err
	}
	return r.create("picket-"+r.version+"-image.oci.tar", func(w io.Writer) error { return r.writeTar(w, entries) })
}

// ociFiles lists a layout's files, sorted by name.
func ociFiles(dir string) (all []entry, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		all = append(all, entry{name: filepath.ToSlash(relative), file: name, mode: 0o644})
		return err
	})
	return all, err
}

// baseLayer holds the users, the roots of public certificate authorities, the configurations, and the folders that people mount.
func (r *release) baseLayer() (v1.Layer, error) {
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			if err := pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
				return nil, err
			}
		}
	}
	config, err := own.ReadFile("files/image.conf")
	if err != nil {
		return nil, err
	}
	id := itoa(brokerID)
	return r.layer([]entry{
		{name: "etc/passwd", data: []byte("root:x:0:0:root:/root:/sbin/nologin\nmosquitto:x:" + id + ":" + id + ":Picket:/mosquitto:/sbin/nologin\n"), mode: 0o644},
		{name: "etc/group", data: []byte("root:x:0:\nmosquitto:x:" + id + ":\n"), mode: 0o644},
		{name: "etc/ssl/certs/ca-certificates.crt", data: roots.Bytes(), mode: 0o644},
		{name: "mosquitto", mode: fs.ModeDir | 0o755},
		{name: "mosquitto/config", mode: fs.ModeDir | 0o755},
		{name: "mosquitto/config/mosquitto.conf", data: config, mode: 0o644},
		{name: "mosquitto/data", mode: fs.ModeDir | 0o755},
		{name: "mosquitto/log", mode: fs.ModeDir | 0o755},
		{name: "mosquitto-no-auth.conf", data: []byte("# Everybody may do everything: for trying things out.\nlistener 1883\nallow_anonymous true\n"), mode: 0o644},
		{name: "run/picket", mode: fs.ModeDir | 0o755},
		{name: "tmp", mode: fs.ModeDir | 0o777},
	})
}

func (r *release) layer(all []entry) (v1.Layer, error) {
	var b bytes.Buffer
	if err := r.writeTar(&b, all); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompression(compression.GZip), tarball.WithCompressionLevel(9), tarball.WithMediaType(types.OCILayer))
}

func (r *release) imageFor(t target, base v1.Layer) (v1.Image, error) {
	all := []entry{{name: "usr/bin/picket", file: r.binary(t), mode: 0o755}, {name: "usr/share/doc/picket/LICENSE", file: filepath.Join(r.source, "LICENSE"), mode: 0o644}}
	for _, l := range links {
		all = append(all, entry{name: l.path[1:], link: "/usr/bin/picket", mode: 0o777})
	}
	program, err := r.layer(all)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, add := range []mutate.Addendum{
		{Layer: base, History: v1.History{Created: v1.Time{Time: r.date}, CreatedBy: "users, certificate authorities, folders"}},
		{Layer: program, History: v1.History{Created: v1.Time{Time: r.date}, CreatedBy: "picket " + r.version}},
	} {
		if image, err = mutate.Append(image, add); err != nil {
			return nil, err
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = t.os, t.arch, v1.Time{Time: r.date}
	if t.arm != "" {
		file.Variant = "v" + t.arm
	}
	file.Config = v1.Config{
		Env:          []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Entrypoint:   []string{"/usr/bin/picket", "entrypoint"},
		Cmd:          []string{"picket", "serve", "-c", "/mosquitto/config/mosquitto.conf"},
		Healthcheck:  &v1.HealthConfig{Test: []string{"CMD", "picket", "ctl", "health"}, Interval: 30e9, Timeout: 5e9, StartPeriod: 10e9},
		ExposedPorts: map[string]struct{}{"1883/tcp": {}},
		Volumes:      map[string]struct{}{"/mosquitto/data": {}, "/mosquitto/log": {}},
		StopSignal:   "SIGTERM",
		Labels: map[string]string{
			"org.opencontainers.image.title": "picket", "org.opencontainers.image.version": r.version, "org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.description": "MQTT broker, in place of eclipse-mosquitto",
		},
	}
	image, err = mutate.ConfigFile(image, file)
	return image, err
}
