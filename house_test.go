// Package house holds the rules of this repository as tests: who may import whom, who may print, and what a file has to be like.
package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"picket/cause"
	"picket/cloud"
)

// mayImport says which packages of ours a package may know. A new package has to be entered here, with as little as it needs.
// docs/architecture.md gives the reasons.
var mayImport = map[string]string{
	"cause":     "",
	"feed":      "",
	"packet":    "",
	"packed":    "",
	"page":      "cause packed",
	"phrases":   "",
	"printable": "",
	"process":   "",
	"record":    "",
	"resp":      "",
	"topic":     "",

	"cloud":           "cause",
	"acme":            "cause printable",
	"cloud/detect":    "",
	"access":          "cause logging topic",
	"admin":           "access audit backend ban bridge broker cause cluster listener printable rights token",
	"bench":           "client packet",
	"bridge":          "bridge/relay broker cause logging packet session",
	"bridge/relay":    "packet topic",
	"api":             "access admin audit ban broker cause feed logging login packet printable rights session token topic trace",
	"audit":           "logging printable",
	"backend":         "access cause logging topic",
	"backup":          "",
	"ban":             "access printable",
	"broker":          "access ban cause cluster/wire feed listener logging packet process session store topic trace",
	"client":          "packet",
	"dashboard":       "packed",
	"client/format":   "client packet printable",
	"doctor":          "cause printable",
	"doctor/arp":      "",
	"doctor/probe":    "cause client doctor doctor/arp doctor/host/firewall packet",
	"echo":            "cause echo/door logging",
	"echo/door":       "cause logging",
	"echo/probe":      "cause echo/door logging",
	"listener":        "cause packet",
	"login":           "token",
	"logging":         "cause printable process",
	"mosqconf":        "access audit backend ban bridge bridge/relay broker cause listener logging packet phrases process rights store/place store/redis token topic",
	"reach":           "access cause listener",
	"rights":          "topic",
	"rights/live":     "access broker cause logging rights session topic",
	"session":         "cause packet topic",
	"token":           "access",
	"trace":           "cause packet printable",
	"web":             "broker listener",
	"setup":           "access cause cloud cloud/detect reach",
	"store":           "record session topic",
	"store/local":     "cause logging session store store/groupcommit store/storetest topic",
	"store/redis":     "cause logging session store store/groupcommit store/storetest topic",
	"store/storetest": "session store topic",
	"store/transfer":  "session store",
	"store/place":     "cause logging process session store store/local store/mosqdb",
	"store/mosqdb":    "packet printable session store topic",

	"client/mosquitto":  "cause client client/format listener packet printable topic",
	"store/groupcommit": "store",

	"cluster":            "cause cluster/functions cluster/machine cluster/wire logging session store store/redis store/storetest topic",
	"cluster/functions":  "cluster/machine cluster/wire",
	"cluster/machine":    "cluster/wire",
	"cluster/simulation": "cluster/machine cluster/wire",
	"cluster/wire":       "record",

	// Only tests import them.
	"internal/browser": "",
	"internal/testbed": "packet",

	"sentinel":            "cause process resp sentinel/machine",
	"sentinel/machine":    "cause resp",
	"sentinel/simulation": "cause resp sentinel/machine",

	"doctor/host":          "cause cloud doctor doctor/host/firewall printable",
	"doctor/host/firewall": "",
	"doctor/host/gather":   "access broker cause cloud/detect doctor doctor/arp doctor/host doctor/host/firewall echo/probe listener logging mosqconf reach setup",

	// The command ties all of them together; nobody imports it.
	"cmd/picket": "access acme admin api audit backend backup ban bench bridge broker cause cluster client client/mosquitto cloud cloud/detect dashboard doctor doctor/host doctor/host/gather doctor/probe echo echo/probe listener logging mosqconf packet page phrases printable process reach rights/live sentinel session setup store store/local store/mosqdb store/place store/redis store/transfer token topic web",
}

// pure packages are state machines, codecs and tables: what goes in decides what comes out. They cannot reach for a socket, a
// file, a clock or chance.
var pure = []string{"bridge/relay", "cause", "cloud", "cluster/functions", "cluster/machine", "cluster/wire", "doctor", "doctor/host", "doctor/host/firewall", "feed", "packet", "phrases", "printable", "record", "rights", "sentinel/machine", "session", "store", "topic"}

var impure = []string{"crypto/rand", "net", "net/http", "os", "os/exec", "os/signal", "path/filepath", "syscall", "time"}

// source is a parsed Go file of the repository.
type source struct {
	path string // relative to the root, with slashes
	dir  string
	test bool
	data []byte
	file *ast.File
}

var fileSet = token.NewFileSet()

// sources parses all Go files.
func sources(t *testing.T) (all []source) {
	t.Helper()
	for _, name := range files(t, ".go") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(fileSet, name, data, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		slashed := filepath.ToSlash(name)
		all = append(all, source{path: slashed, dir: path.Dir(slashed), test: strings.HasSuffix(name, "_test.go"), data: data, file: file})
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files were found", len(all))
	}
	return all
}

// files lists the files of the repository whose names end in suffix.
func files(t *testing.T, suffix string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != "."):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, suffix):
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func imports(s source) (paths []string) {
	for _, spec := range s.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has accepted it
		}
		paths = append(paths, p)
	}
	return paths
}

func TestImportsPointDownTheHouse(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range sources(t) {
		seen[s.dir] = true
		if s.test {
			continue
		}
		allowed, listed := mayImport[s.dir]
		if !listed && !slices.ContainsFunc(imports(s), func(p string) bool { return strings.HasPrefix(p, "picket/") }) {
			continue // a package of tests with a comment
		}
		if !listed {
			t.Errorf("%s: say in house_test.go and docs/architecture.md what package %s may import", s.path, s.dir)
			continue
		}
		for _, p := range imports(s) {
			if ours, ok := strings.CutPrefix(p, "picket/"); ok && !slices.Contains(strings.Fields(allowed), ours) {
				t.Errorf("%s: package %s may not import %s", s.path, s.dir, p)
			}
		}
	}
	for dir := range mayImport {
		if !seen[dir] {
			t.Errorf("house_test.go speaks of package %s, which does not exist", dir)
		}
	}
}

func TestPureCoresTouchNothing(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !slices.Contains(pure, s.dir) {
			continue
		}
		for _, p := range imports(s) {
			if slices.Contains(impure, p) {
				t.Errorf("%s: %s is a pure package and may not import %s", s.path, s.dir, p)
			}
		}
	}
}

// inherit are the places where a child process is given the streams of this one.
var inherit = []string{
	"process/process_unix.go os.Stdout", "process/process_unix.go os.Stderr",
	"sentinel/scripts.go os.Stdout", "sentinel/scripts.go os.Stderr",
}

// Output belongs to the writers that a caller passes in, and exit statuses to main; the log goes through package logging. Package testbed is a part of tests,
// and may end them.
func TestOnlyTheCommandPrintsAndExits(t *testing.T) {
	forbidden := regexp.MustCompile(`^(fmt\.(Print|Println|Printf)|os\.(Exit|Stdout|Stderr)|log\.(Print|Fatal|Panic)\w*)$`)
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.dir, "cmd/") || s.dir == "internal/testbed" {
			continue
		}
		standardLog := slices.Contains(imports(s), "log")
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				if !ok {
					break
				}
				name := pkg.Name + "." + n.Sel.Name
				if forbidden.MatchString(name) && (pkg.Name != "log" || standardLog) && !slices.Contains(inherit, s.path+" "+name) {
					t.Errorf("%s: %s outside of cmd", fileSet.Position(n.Pos()), name)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
					t.Errorf("%s: the builtin %s", fileSet.Position(n.Pos()), f.Name)
				}
			}
			return true
		})
	}
}

func TestFilesAreShortAndFinished(t *testing.T) {
	const maxLines = 800
	unfinished := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, s := range sources(t) {
		if n := bytes.Count(s.data, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, want at most %d: split it by subject", s.path, n, maxLines)
		}
		for _, group := range s.file.Comments {
			if word := unfinished.FindString(group.Text()); word != "" {
				t.Errorf("%s: a comment says %s; do it or open an issue", fileSet.Position(group.Pos()), word)
			}
		}
	}
}

// Every function fits on a screen.
func TestFunctionsFitOnAScreen(t *testing.T) {
	const maxLines = 60
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := fileSet.Position(f.End()).Line - fileSet.Position(f.Pos()).Line + 1; n > maxLines {
				t.Errorf("%s: %s has %d lines, want at most %d: give what it does in steps names of their own", fileSet.Position(f.Pos()), f.Name.Name, n, maxLines)
			}
		}
	}
}

// Methods of interfaces in the standard library need no comment of their own, nor do those of the interfaces here: there is nothing to say that is not said
// there.
var wellKnown = []string{"Error", "String", "Unwrap", "Is", "As", "Read", "Write", "Close", "Len", "Less", "Swap", "MarshalText", "UnmarshalText",
	"MarshalJSON", "UnmarshalJSON", "LocalAddr", "RemoteAddr", "SetDeadline", "SetReadDeadline", "SetWriteDeadline", "Help", "Run"}

// ofInterfaces are the methods of all exported interfaces.
func ofInterfaces(t *testing.T) map[string]bool {
	methods := make(map[string]bool)
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() {
				return true
			}
			if i, ok := spec.Type.(*ast.InterfaceType); ok {
				for _, m := range i.Methods.List {
					for _, name := range m.Names {
						methods[name.Name] = true
					}
				}
			}
			return true
		})
	}
	return methods
}

func TestWhatIsExportedIsDocumented(t *testing.T) {
	said := ofInterfaces(t)
	documented := make(map[string]bool)
	packages := make(map[string]bool)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		packages[s.dir] = true
		documented[s.dir] = documented[s.dir] || s.file.Doc != nil
		missing := func(pos token.Pos, name string) {
			t.Errorf("%s: %s is exported and has no comment", fileSet.Position(pos), name)
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if !d.Name.IsExported() || d.Doc != nil {
					continue
				}
				if d.Recv != nil && (!ast.IsExported(receiver(d)) || said[d.Name.Name] || slices.Contains(wellKnown, d.Name.Name)) {
					continue
				}
				missing(d.Pos(), d.Name.Name)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
							missing(spec.Pos(), spec.Name.Name)
						}
					case *ast.ValueSpec:
						for _, name := range spec.Names {
							if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
								missing(name.Pos(), name.Name)
							}
						}
					}
				}
			}
		}
	}
	for dir := range packages {
		if !documented[dir] {
			t.Errorf("package %s has no comment that says what it is for", dir)
		}
	}
}

// receiver is the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	e := d.Recv.List[0].Type
	for {
		switch inner := e.(type) {
		case *ast.StarExpr:
			e = inner.X
		case *ast.IndexExpr:
			e = inner.X
		case *ast.IndexListExpr:
			e = inner.X
		case *ast.Ident:
			return inner.Name
		default:
			return ""
		}
	}
}

// Constants of package cause exist, or nothing compiles. This finds ids that are written as text: given to a Cause method, a
// Cause field, converted to cause.ID, or declared as one.
func TestCausesInUseAreInTheCatalogue(t *testing.T) {
	found := 0
	check := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		id, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if _, ok := cause.Lookup(cause.ID(id)); !ok && id != "" {
			t.Errorf("%s: the cause %q is not in the catalogue", fileSet.Position(lit.Pos()), id)
		}
	}
	isID := func(e ast.Expr) bool {
		sel, ok := e.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "ID" {
			return false
		}
		pkg, ok := sel.X.(*ast.Ident)
		return ok && pkg.Name == "cause"
	}
	for _, s := range sources(t) {
		if s.dir == "cause" {
			continue // its own tests hold ids.go and the catalogue together
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				switch f := n.Fun.(type) {
				case *ast.SelectorExpr:
					if isID(f) && len(n.Args) == 1 {
						check(n.Args[0])
					}
					if f.Sel.Name == "Cause" && len(n.Args) > 1 {
						check(n.Args[1])
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Cause" || key.Name == "cause") {
					check(n.Value)
				}
			case *ast.ValueSpec:
				if n.Type != nil && isID(n.Type) {
					for _, v := range n.Values {
						check(v)
					}
				}
			}
			return true
		})
	}
	if found == 0 {
		t.Error("no cause was found anywhere; the scan is broken")
	}
}

// What the broker refuses, drops or closes is said by one function, which counts, logs, gives the reason string and notes the attempt. Whoever
// logged a cause or counted one elsewhere would say one half of it.
func TestTheBrokerHasOneVoice(t *testing.T) {
	const voice = "broker/voice.go"
	own := map[string]string{"Cause": "log", "add": "causes", "note": "attempts", "noteAttempt": ""} // methods, and what they are called on
	seen := 0
	for _, s := range sources(t) {
		if s.test || s.dir != "broker" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			f, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, ok := own[f.Sel.Name]
			if !ok || on != "" && !strings.HasSuffix(nameOf(f.X), on) {
				return true
			}
			if seen++; s.path != voice {
				t.Errorf("%s: %s.%s outside of %s; call Broker.report or Broker.notice", fileSet.Position(n.Pos()), nameOf(f.X), f.Sel.Name, voice)
			}
			return true
		})
	}
	if seen < len(own) {
		t.Errorf("%d uses were found in all; the scan is broken", seen)
	}
}

// nameOf is the last name of an expression: log of b.log.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func TestLinksInPagesLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	pages := files(t, ".md")
	headings := make(map[string][]string, len(pages))
	for _, page := range pages {
		headings[page] = anchors(t, page)
	}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			to := page
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			} else if m[2] != "" && headings[to] != nil && !slices.Contains(headings[to], m[2][1:]) {
				t.Errorf("%s links to %s, which has no such heading", page, m[1]+m[2])
			}
		}
	}
	if !slices.Contains(pages, "README.md") {
		t.Error("there is no README.md")
	}
}

// anchors are the headings of a page in the form in which links name them.
func anchors(t *testing.T, page string) (names []string) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(data), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// A page and its Chinese edition lead to each other at their top, and Chinese pages to Chinese ones where there are any.
func TestChineseEditions(t *testing.T) {
	const chinese = ".zh-CN.md"
	pages := files(t, ".md")
	for _, page := range pages {
		english, ok := strings.CutSuffix(page, chinese)
		if english += ".md"; !ok {
			continue
		}
		for from, to := range map[string]string{page: english, english: page} {
			data, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if top := strings.SplitN(string(data), "\n", 9); !strings.Contains(strings.Join(top[:len(top)-1], "\n"), "]("+filepath.Base(to)+")") {
				t.Errorf("%s does not lead to %s at its top", from, to)
			}
			if from == english {
				continue
			}
			for _, m := range regexp.MustCompile(`\]\(([^)#\s]+)\.md[#)]`).FindAllStringSubmatch(string(data), -1) {
				link := filepath.Join(filepath.Dir(from), m[1])
				if link+".md" != english && slices.Contains(pages, link+chinese) {
					t.Errorf("%s leads to %s.md, which has a Chinese edition", from, m[1])
				}
			}
		}
	}
}

// What the pages tell people to type has to exist.
func TestMakeTargetsInPagesExist(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	for _, page := range append(files(t, ".md"), filepath.Join(".ci", "run")) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range command.FindAllSubmatch(data, -1) {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(string(m[1])) + `:`).Match(makefile) {
				t.Errorf("%s: the Makefile has no target %s", page, m[1])
			}
		}
	}
}

// Each package of tests from outside is named where they are run.
func TestOutsideTestsAreRun(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob("tests/*/*_test.go")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, file := range all {
		if dir := filepath.ToSlash(filepath.Dir(file)); !regexp.MustCompile(`(?m)^(RACE_OUTSIDE|PLAIN) =.* \./` + dir + `( |$)|go test .* \./` + dir + `$`).Match(makefile) {
			t.Errorf("the Makefile does not run the tests in %s", dir)
		}
	}
}

// The pages about cloud servers say of each cloud what the program says.
func TestPagesOfTheClouds(t *testing.T) {
	for page, lang := range map[string]cause.Lang{"docs/cloud.md": cause.English, "docs/cloud.zh-CN.md": cause.Chinese} {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range cloud.Providers {
			if row := "| " + p.Name.In(lang) + " | " + p.Console.In(lang) + " |"; !strings.Contains(string(data), row) {
				t.Errorf("%s lacks the row %s", page, row)
			}
		}
	}
}

// The page that says where in the broker to change something names each of its files once, and no others.
func TestMapOfTheBroker(t *testing.T) {
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Where do I change … in `broker`")
	section, _, _ = strings.Cut(section, "\n## ")
	named := make(map[string]int)
	for _, m := range regexp.MustCompile("`([a-z_*]+\\.go)`").FindAllStringSubmatch(section, -1) {
		named[m[1]]++
	}
	for _, s := range sources(t) {
		if name := path.Base(s.path); s.dir == "broker" && !s.test {
			if strings.HasPrefix(name, "machine_") {
				name = "machine_*.go"
			} else if named[name] != 1 {
				t.Errorf("docs/architecture.md names broker/%s %d times, want once", name, named[name])
			}
			named[name] = -1
		}
	}
	for name, n := range named {
		if n > 0 {
			t.Errorf("docs/architecture.md names broker/%s, which does not exist", name)
		}
	}
}
