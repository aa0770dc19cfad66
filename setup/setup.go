// Package setup prepares what a broker needs that is started without a configuration: a data directory with a user, a
// password, a certificate authority and a server certificate, all made by the first start and kept from then on.
package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"picket/access"
)

// User is the name of the user that the first start makes.
const User = "picket"

// The files of a data directory.
const (
	passwordFile = "passwords"
	rightsFile   = "rights.json"
	caFile       = "ca.crt"
	caKeyFile    = "ca.key"
	serverFile   = "server.pem"
	lockFile     = "picket.lock"
	noteFile     = "first-password"
)

// Names are the files that [Prepare] makes or renews in a data directory.
func Names() []string {
	return []string{passwordFile, caFile, caKeyFile, serverFile, lockFile, noteFile, namesFile}
}

// Kept are the files of a data directory, whether they are there or not, that a backup holds: by what it is known to be one, who may log in, and what the machine is called. Secret are those
// with private keys, without which a broker that is made anew has other certificates.
func Kept() (kept, secret []string) {
	return []string{lockFile, passwordFile, rightsFile, namesFile}, []string{caFile, caKeyFile, serverFile}
}

// Options say what for, and as of when, a data directory is prepared.
type Options struct {
	Dir       string       // the data directory, made with mode 0700 if it is missing
	Now       time.Time    // the zero time: now
	Hostname  string       // the machine's name; may be empty
	Addresses []netip.Addr // addresses that the server certificate is to be valid for
	Names     []string     // what people call the machine: names and addresses, kept for later calls; none: those that were kept
}

// Result names what a data directory holds.
type Result struct {
	Dir          string
	PasswordFile string
	RightsFile   string // of users who were added while a broker ran; made with the first of them, by the broker
	CAFile       string // the certificate that clients have to trust, to be given away
	CertFile     string // the server's certificate and, in the same file, its key
	KeyFile      string // the same file as CertFile: both are replaced at once
	NotAfter     time.Time

	// Password is the password of [User] until somebody has seen it (see [Result.Seen]), and empty from then on.
	Password string
	// NoteFile is where the password is noted until then, with mode 0600.
	NoteFile string
	// Names are what people call the machine, the best first.
	Names []string
	// Left are those of them that the certificate authority may not certify, since it was made before they were known.
	Left []string
	// Issued says why a new server certificate was made by this call; empty if the one that was there is good.
	Issued string
	// Made: the user was made by this call.
	Made bool
	// Place is where the machine is; set by the caller of [Prepare] who has found it out.
	Place *Place
	// Trusted: a certificate of a public authority is served in place of CertFile; set by whoever has got one.
	Trusted bool
	// NewCA: the certificate authority was made by this call.
	NewCA bool
}

// First says whether the first password has not been seen yet: by this start or an earlier one, which may have failed after making it.
func (r *Result) First() bool { return r.Password != "" }

// DefaultDir is the data directory of a start that names none: /var/lib/picket for root, otherwise "picket" in the XDG state
// directory, which is $XDG_STATE_HOME or ~/.local/state; on Windows, "picket" in %LocalAppData%.
func DefaultDir(getenv func(string) string, uid int) (string, error) {
	if runtime.GOOS == "windows" {
		local := getenv("LocalAppData")
		if local == "" {
			return "", errors.New("no data directory: LocalAppData is not set; name one with --data DIR")
		}
		return filepath.Join(local, "picket"), nil
	}
	if uid == 0 {
		return "/var/lib/picket", nil
	}
	// The XDG specification has relative paths in its variables ignored.
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "picket"), nil
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("no data directory: neither XDG_STATE_HOME nor HOME is set; name one with --data DIR")
	}
	return filepath.Join(home, ".local", "state", "picket"), nil
}

// Files names the files of a data directory, whether they are there or not.
func Files(dir string) *Result {
	return &Result{
		Dir:          dir,
		PasswordFile: filepath.Join(dir, passwordFile),
		RightsFile:   filepath.Join(dir, rightsFile),
		CAFile:       filepath.Join(dir, caFile),
		CertFile:     filepath.Join(dir, serverFile),
		KeyFile:      filepath.Join(dir, serverFile),
		NoteFile:     filepath.Join(dir, noteFile),
	}
}

// Prepare makes what the data directory lacks and renews a server certificate that nears its end or lacks an address. It may
// be called at every start and every reload, also by several processes at once. Every file is written whole or not at all.
func Prepare(o Options) (r *Result, err error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; name another one with --data DIR", err)
	}
	if err := ours(dir); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("data directory %s cannot be used: %w; name another one with --data DIR", dir, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()

	r = Files(dir)
	if err := r.keepNames(o.Names); err != nil {
		return nil, err
	}
	o.Names = r.Names
	if err := r.prepareCertificates(o); err != nil {
		return nil, err
	}
	// The password comes last: once its file is there, nothing else can fail that would keep it from being shown.
	if err := r.preparePassword(); err != nil {
		return nil, err
	}
	return r, nil
}

// IsDataDir tells whether a directory is one that [Prepare] has made.
func IsDataDir(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, lockFile))
	return err == nil
}

// ours refuses a directory that holds other things than a broker's data: somebody has mistyped --data.
func ours(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w; name another one with --data DIR", err)
	}
	if len(entries) == 0 || IsDataDir(dir) {
		return nil
	}
	return fmt.Errorf("%s is not a data directory of Picket and not empty; name an empty or a new one with --data DIR", dir)
}

// preparePassword makes the first user, or takes up the password of one whom nobody has seen. The note is written before the password file: whenever
// the machine stops, no user is left whose password nobody can know.
func (r *Result) preparePassword() error {
	switch _, err := os.Stat(r.PasswordFile); {
	case err == nil:
		return r.ReadNote()
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("password file: %w", err)
	}
	r.Made = true
	return r.NewPassword()
}

// ReadNote takes up the password that is noted, if there is a note.
func (r *Result) ReadNote() error {
	note, err := os.ReadFile(r.NoteFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the note of the first password: %w", err)
	}
	r.Password = strings.TrimSpace(string(note))
	return nil
}

// NewPassword gives [User] a new password, and notes it.
func (r *Result) NewPassword() error {
	password := NewPassword()
	// An entry for SCRAM verifies plain passwords as well.
	entry, err := access.HashPassword(access.SCRAM, password, 0)
	if err != nil {
		return fmt.Errorf("hashing the first password: %w", err)
	}
	file, err := access.ReadPasswordFile(r.PasswordFile)
	if errors.Is(err, fs.ErrNotExist) {
		file, err = new(access.PasswordFile), nil
	}
	if err != nil {
		return fmt.Errorf("password file: %w", err)
	}
	if _, err := file.Set(User, entry); err != nil {
		return fmt.Errorf("the first user: %w", err)
	}
	if err := writeFile(r.NoteFile, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("noting the first password: %w", err)
	}
	if err := file.WriteFile(r.PasswordFile); err != nil {
		return fmt.Errorf("password file: %w", err)
	}
	r.Password = password
	return nil
}

// Seen removes the note of the first password: somebody has it now.
func (r *Result) Seen() error {
	if err := os.Remove(r.NoteFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
