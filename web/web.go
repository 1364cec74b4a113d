// Package web holds the dashboard page and the browser client, embedded as
// they are written: plain modules, no build.
//
// A Site promises that what it serves is one consistent tree. Every file is reachable below
// /client/<hash>/, where the hash names the whole tree, so a browser may keep it for ever. The page
// at / always points at the tree it was embedded with. It does not know that a server, an owner or
// a token exists: the caller that mounts it decides what else there is.
package web

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

//go:embed static
var embedded embed.FS

// contentSecurityPolicy is sent with every answer: only our own files, no
// inline script or style, no string ever parsed as markup. The one policy of
// Trusted Types lets push.js register the service worker, and nothing else.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; " +
	"img-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sw"

const (
	indexName    = "index.html"
	iconName     = "favicon.svg"
	clientPrefix = "/client/"

	cacheForever = "public, max-age=31536000, immutable"
	cacheNever   = "no-cache"
)

// treeHash is the form of a hash segment, ours or that of another version.
var treeHash = regexp.MustCompile(`^[0-9a-f]{16}$`)

// Options are the settings of a Site.
type Options struct {
	// Dev is a folder whose files are served instead of the embedded ones,
	// read again at every request; the page reloads when one changes. Empty
	// serves the embedded tree.
	Dev string
	// Demo tells the page that every visitor may sign in as a demo owner.
	Demo bool
	// NoPasswords tells the page that this server takes no passwords.
	NoPasswords bool
	// Links lead from the page into the portal.
	Links Links
}

// page returns what the page's template is filled with.
func (o Options) page(dev bool) indexData {
	return indexData{Demo: o.Demo, NoPasswords: o.NoPasswords, Links: o.Links, Dev: dev}
}

// Links are addresses in the portal, each empty where there is none: templates with {id} for a
// booking and a listing, and the page for a forgotten password.
type Links struct {
	Booking, Listing, Password string
}

// Site serves the page at / and the client's modules below /client/.
type Site struct {
	opts Options
	tree *tree
}

// New returns a Site of the embedded files, or of the folder opts.Dev. The
// embedded files are hashed and compressed here, once.
func New(opts Options) *Site {
	if opts.Dev != "" {
		return &Site{opts: opts}
	}
	files, err := fs.Sub(embedded, "static")
	if err != nil {
		panic(fmt.Sprintf("web: embedded folder: %v", err)) // a name fixed at compile time
	}
	t, err := readTree(files, opts.page(false), nil)
	if err != nil {
		panic(fmt.Sprintf("web: embedded tree: %v", err)) // its template is part of the program
	}
	return &Site{opts: opts, tree: t}
}

// ServeHTTP answers GET and HEAD for /, /docs, /docs/client, /client/… and RootPaths;
// anything else is 404.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		respondProblem(w, http.StatusMethodNotAllowed, "files are read with GET")
		return
	}
	t, err := s.current()
	if err != nil {
		// development only: names the file at fault
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	name, cache := t.resolve(r.URL.Path)
	file, found := t.files[name]
	if !found {
		file, found = docsFiles()[r.URL.Path]
		cache = cacheNever
	}
	if !found {
		file, found = rootFiles()[r.URL.Path]
	}
	if !found {
		header.Set("Cache-Control", "no-store")
		respondProblem(w, http.StatusNotFound, "there is no such file: load the page again")
		return
	}
	header.Set("Cache-Control", cache)
	if strings.HasPrefix(r.URL.Path, clientPrefix) {
		// modules are imported with CORS; these hold no secret
		header.Set("Access-Control-Allow-Origin", "*")
	}
	file.serve(w, r)
}

// Hash names the tree being served; it changes when any file does.
func (s *Site) Hash() string {
	t, err := s.current()
	if err != nil {
		return ""
	}
	return t.hash
}

func (s *Site) current() (*tree, error) {
	if s.opts.Dev == "" {
		return s.tree, nil
	}
	t, err := readTree(os.DirFS(s.opts.Dev), s.opts.page(true), devFiles())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.opts.Dev, err)
	}
	t.files[devHashName] = &file{contentType: contentTypes[".txt"], etag: t.hash, plain: []byte(clientPrefix + t.hash)}
	return t, nil
}

//go:embed dev
var devFolder embed.FS

// devHashName is the file whose text changes when any other file does.
const devHashName = "dev/hash.txt"

// devFiles are served only while developing: what reloads the page, and its debug panel.
var devFiles = sync.OnceValue(func() map[string][]byte {
	files := map[string][]byte{}
	err := fs.WalkDir(devFolder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(devFolder, name)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("web: embedded folder: %v", err)) // files fixed at compile time
	}
	return files
})

// resolve maps a request's path to a file of the tree and its cache policy.
// A hash that is not ours is another version's, met while servers are being
// replaced one by one: it gets our file, but may not keep it.
func (t *tree) resolve(requestPath string) (name, cache string) {
	if requestPath == "/" || requestPath == "/"+indexName {
		return indexName, cacheNever
	}
	rest, ok := strings.CutPrefix(requestPath, clientPrefix)
	if !ok {
		return "", ""
	}
	first, below, ok := strings.Cut(rest, "/")
	switch {
	case ok && first == t.hash:
		name, cache = below, cacheForever
	case ok && treeHash.MatchString(first):
		name, cache = below, cacheNever
	default:
		name, cache = rest, cacheNever
	}
	if name == indexName || name != path.Clean(name) {
		return "", ""
	}
	return name, cache
}

// indexData is what the page's template knows.
type indexData struct {
	Base      string
	Icon      template.URL // the icon itself, as a data: address: one request less
	Modules   []string
	Demo, Dev bool
	// NoPasswords: there is nothing to sign in with.
	NoPasswords bool
	Links       Links
}

// index fills the page's template with the addresses of this tree.
func (t *tree) index(source, icon []byte, modules []string, page indexData) ([]byte, error) {
	parsed, err := template.New(indexName).Option("missingkey=error").Parse(string(source))
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", indexName, err)
	}
	page.Base, page.Modules = clientPrefix+t.hash, modules
	page.Icon = template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(icon))
	var out bytes.Buffer
	if err := parsed.Execute(&out, page); err != nil {
		return nil, fmt.Errorf("fill %s: %w", indexName, err)
	}
	return out.Bytes(), nil
}

var errNoIndex = errors.New("no " + indexName)

// serve writes the file, compressed for those who take it. ServeContent
// answers conditional and range requests by the ETag set here.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.contentType)
	body, etag := f.plain, f.etag
	if f.gzipped != nil {
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			header.Set("Content-Encoding", "gzip")
			body, etag = f.gzipped, f.etag+"-gz"
		}
	}
	header.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// respondProblem answers with an error as RFC 9457 wants it.
func respondProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
}
