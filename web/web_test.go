package web

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, site http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	site.ServeHTTP(recorder, request)
	return recorder
}

func TestIndex(t *testing.T) {
	t.Parallel()
	site := New(Options{})
	answer := get(t, site, "/")
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d", answer.Code)
	}
	for name, want := range map[string]string{
		"Cache-Control":           "no-cache",
		"Content-Type":            "text/html; charset=utf-8",
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": contentSecurityPolicy,
	} {
		if got := answer.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	body := answer.Body.String()
	for _, forbidden := range []string{"{{", "<style", "style=", "onclick", "/dev/"} {
		if strings.Contains(body, forbidden) {
			t.Errorf("the page contains %q", forbidden)
		}
	}

	addresses := regexp.MustCompile(`(?:href|src)="(/[^"]+)"`).FindAllStringSubmatch(body, -1)
	preloaded := map[string]bool{}
	for _, address := range addresses {
		file := get(t, site, address[1])
		if rootFiles()[address[1]] != nil { // browsers ask for these when the page is to be an app
			if file.Code != http.StatusOK || file.Header().Get("Cache-Control") != cacheNever {
				t.Errorf("%s: status %d, Cache-Control %q", address[1], file.Code, file.Header().Get("Cache-Control"))
			}
			continue
		}
		if file.Code != http.StatusOK || file.Header().Get("Cache-Control") != cacheForever {
			t.Errorf("%s: status %d, Cache-Control %q", address[1], file.Code, file.Header().Get("Cache-Control"))
		}
		preloaded[strings.TrimPrefix(address[1], clientPrefix+site.Hash()+"/")] = true
	}
	for name := range preloaded {
		file := site.tree.files[name]
		for _, match := range regexp.MustCompile(`(?m)^[^*\n]*from '(\.{1,2}/[^']+)'`).FindAllStringSubmatch(string(file.plain), -1) {
			if module := path.Join(path.Dir(name), match[1]); !preloaded[module] {
				t.Errorf("%s, which %s imports, is not preloaded", module, name)
			}
		}
	}
	// The first paint may take 20 requests: these files, and who is signed in, metrics, overview,
	// bookings, hangars, today.
	const questions = 6
	if requests := len(preloaded) + 1 + questions; requests > 20 {
		t.Errorf("%d requests for the first paint: %v", requests, preloaded)
	}
}

func TestIndexTellsOfDemo(t *testing.T) {
	t.Parallel()
	for demo, want := range map[bool]bool{true: true, false: false} {
		body := get(t, New(Options{Demo: demo}), "/").Body.String()
		if strings.Contains(body, "data-demo") != want {
			t.Errorf("demo %v: %.120s", demo, body)
		}
	}
}

func TestCaching(t *testing.T) {
	t.Parallel()
	site := New(Options{})
	hashed := clientPrefix + site.Hash() + "/client.js"
	cases := []struct {
		name, path string
		status     int
		cache      string
	}{
		{"our tree is kept for ever", hashed, 200, cacheForever},
		{"the alias is asked again", "/client/client.js", 200, cacheNever},
		{"a folder below the alias", "/client/element/panels.js", 200, cacheNever},
		{"another version's tree may not be kept", "/client/0123456789abcdef/client.js", 200, cacheNever},
		{"an unknown file", "/client/none.js", 404, "no-store"},
		{"an unknown path", "/somewhere", 404, "no-store"},
		{"a way out of the tree", "/client/../web.go", 404, "no-store"},
		{"a way around", "/client//client.js", 404, "no-store"},
		{"the page has one address", "/client/index.html", 404, "no-store"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer := get(t, site, c.path)
			if answer.Code != c.status || answer.Header().Get("Cache-Control") != c.cache {
				t.Errorf("status %d, Cache-Control %q; want %d, %q",
					answer.Code, answer.Header().Get("Cache-Control"), c.status, c.cache)
			}
		})
	}
}

func TestCompressionAndConditions(t *testing.T) {
	t.Parallel()
	site := New(Options{})
	const path = "/client/connection.js"
	plain := get(t, site, path)
	zipped := get(t, site, path, "Accept-Encoding", "br, gzip;q=0.8")
	if zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatalf("headers %v", zipped.Header())
	}
	reader, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	if string(unzipped) != plain.Body.String() {
		t.Error("the compressed file is another file")
	}
	if plain.Header().Get("ETag") == zipped.Header().Get("ETag") {
		t.Error("both encodings have the same ETag")
	}
	if refused := get(t, site, path, "Accept-Encoding", "gzip;q=0"); refused.Header().Get("Content-Encoding") != "" {
		t.Error("gzip;q=0 was answered with gzip")
	}
	again := get(t, site, path, "Accept-Encoding", "gzip", "If-None-Match", zipped.Header().Get("ETag"))
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("status %d with %d bytes, want 304", again.Code, again.Body.Len())
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	site := New(Options{})
	for method, want := range map[string]int{"HEAD": 200, "POST": 405, "DELETE": 405} {
		recorder := httptest.NewRecorder()
		site.ServeHTTP(recorder, httptest.NewRequest(method, "/", nil))
		if recorder.Code != want {
			t.Errorf("%s: status %d, want %d", method, recorder.Code, want)
		}
		if method == "HEAD" && recorder.Body.Len() > 0 {
			t.Error("HEAD has a body")
		}
	}
}

func TestDev(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, body string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	site := New(Options{Dev: folder})
	if answer := get(t, site, "/"); answer.Code != http.StatusInternalServerError {
		t.Errorf("an empty folder: status %d", answer.Code)
	}
	write(indexName, `<html data-tree="{{.Base}}">{{if .Dev}}dev{{end}}</html>`)
	write("a.js", "1")
	before := site.Hash()
	if body := get(t, site, "/").Body.String(); !strings.Contains(body, "dev") || !strings.Contains(body, before) {
		t.Errorf("page %q", body)
	}
	write("a.js", "2")
	if site.Hash() == before {
		t.Error("a changed file did not change the hash")
	}
	if body := get(t, site, "/client/"+site.Hash()+"/a.js").Body.String(); body != "2" {
		t.Errorf("served %q", body)
	}
	if body := get(t, site, "/client/dev/hash.txt").Body.String(); body != clientPrefix+site.Hash() {
		t.Errorf("hash file %q", body)
	}
	if answer := get(t, site, "/client/dev/reload.js"); answer.Code != http.StatusOK {
		t.Errorf("dev/reload.js: status %d", answer.Code)
	}
}

// moduleClosure lists the modules that one of them imports statically, itself included.
func moduleClosure(t *testing.T, files map[string]*file, entry string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for next := []string{entry}; len(next) > 0; next = next[1:] {
		name := next[0]
		if found[name] {
			continue
		}
		if files[name] == nil {
			t.Fatalf("%s is not there", name)
		}
		found[name] = true
		for _, match := range imported.FindAllSubmatch(files[name].plain, -1) {
			next = append(next, path.Join(path.Dir(name), string(match[1])))
		}
	}
	return found
}

// sent is how many bytes of a file a browser is sent.
func sent(f *file) int {
	if f.gzipped != nil {
		return len(f.gzipped)
	}
	return len(f.plain)
}

// checkBell holds what notifications add to a page. By itself, once the server tells of
// notifications, a page loads the bell, its words, and what the feed shares; opening the panel
// loads the list; all else is loaded when it is used.
func checkBell(t *testing.T, all map[string]*file, first map[string]bool) {
	t.Helper()
	const limit = 6 << 10
	there := maps.Clone(first)
	for _, step := range []struct {
		name    string
		entries []string
		words   string // in Portuguese; other languages have come whole
	}{
		{"the bell, which comes by itself,", []string{"page/bell.js", "notifications/store.js"}, ""},
		{"the list, which the bell opens,", []string{"notifications/panel.js"}, "notifications/words/pt.js"},
		{"what a person does with it", []string{"notifications/hands.js"}, "notifications/words/hands-pt.js"},
		{"the preferences", []string{"notifications/preferences.js"}, "notifications/words/settings-pt.js"},
		{"messages on a device", []string{"push.js"}, ""},
		{"the device's part of the preferences", []string{"push/section.js"}, "push/words/pt.js"},
		{"the counts of other accounts", []string{"page/elsewhere.js"}, ""},
		{"the details of a booking", []string{"notifications/booking.js"}, ""},
	} {
		size := 0
		for _, entry := range step.entries {
			for name := range moduleClosure(t, all, entry) {
				if !there[name] {
					size += sent(all[name])
					there[name] = true
				}
			}
		}
		if step.words != "" {
			size += sent(all[step.words])
		}
		t.Logf("gzipped: %s %d bytes", step.name, size)
		if size == 0 || size > limit {
			t.Errorf("%s: %d bytes of %d", step.name, size, limit)
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "notifications/") && strings.HasSuffix(name, ".js") && !strings.Contains(name, "/words/") && !there[name] {
			t.Errorf("%s is in none of these", name)
		}
	}
}

// TestBudgets holds the sizes as sent: a page that loads slowly is not live.
func TestBudgets(t *testing.T) {
	t.Parallel()
	var scripts, styles int
	all := New(Options{}).tree.files
	// The page, and what the client asks for with its first dial; other modules are
	// loaded when they are used.
	first := moduleClosure(t, all, "page.js")
	maps.Copy(first, moduleClosure(t, all, "dial.js"))
	for name, file := range all {
		size := sent(file)
		switch {
		case name == "calendar.css" || name == "trends.css":
			if t.Logf("gzipped: %s %d bytes", name, size); size > 2<<10 {
				t.Errorf("%s, loaded when it is used: %d bytes of 2 KiB", name, size)
			}
		case name == "calendar/feeds.css":
			if size > 1<<10 {
				t.Errorf("%s, loaded when it is used: %d bytes of 1 KiB", name, size)
			}
		case name == "notifications.css":
			if t.Logf("gzipped: the styles of notifications %d bytes", size); size > 3<<10 {
				t.Errorf("%s, loaded when it is used: %d bytes of 3 KiB", name, size)
			}
		case filepath.Ext(name) == ".css":
			styles += size
		case first[name]:
			scripts += size
		case path.Dir(name) == "words": // all words of a language
			if t.Logf("gzipped: %s %d bytes", name, size); size > 8<<10 {
				t.Errorf("%s, loaded where it is asked for: %d bytes of 8 KiB", name, size)
			}
		case name == "notifications/panel.js": // below
		case filepath.Ext(name) == ".js" && size > 4<<10:
			t.Errorf("%s, loaded when it is used: %d bytes of 4 KiB", name, size)
		}
	}
	// What a large screen loads when a panel is opened, with the words of one language. Once the
	// calendar is drawn it loads what follows changes.
	for panel, limit := range map[string]int{"calendar": 8 << 10, "trends": 6 << 10} {
		size := len(all[panel+"/words/pt.js"].gzipped)
		for name := range moduleClosure(t, all, panel+"/view.js") {
			if !first[name] {
				size += len(all[name].gzipped)
			}
		}
		t.Logf("gzipped: the modules of %s %d bytes", panel, size)
		if size > limit {
			t.Errorf("the modules of %s, beside those of the page: %d bytes of %d", panel, size, limit)
		}
	}
	// What the trends load while the first answer is on its way, and what they load when it is
	// used.
	charts := moduleClosure(t, all, "trends/view.js")
	for entry, limit := range map[string]int{"controls": 5 << 10, "live": 1280, "more": 5 << 9} {
		modules := moduleClosure(t, all, "trends/"+entry+".js")
		if words := "trends/words/" + entry + "-pt.js"; all[words] != nil {
			modules[words] = true
		}
		if entry == "more" {
			delete(modules, "trends/address.js") // controls have brought it
		}
		size := 0
		for name := range modules {
			if !first[name] && !charts[name] {
				size += len(all[name].gzipped)
			}
		}
		if t.Logf("gzipped: %s of trends %d bytes", entry, size); size == 0 || size > limit {
			t.Errorf("%s of trends, beside its charts: %d bytes of %d", entry, size, limit)
		}
	}
	if changes := len(all["calendar/changes.js"].gzipped); changes > 2<<10 {
		t.Errorf("what follows changes in the calendar: %d bytes of 2 KiB", changes)
	}
	checkBell(t, all, first)
	var core int
	files := New(Options{}).tree.files
	for name := range moduleClosure(t, files, "client.js") {
		core += len(files[name].gzipped)
	}
	t.Logf("gzipped: the client's core %d bytes", core)
	if core == 0 || core > 9<<10 {
		t.Errorf("the client's core: %d bytes of 9 KiB", core)
	}
	worker := len(rootFiles()["/sw.js"].gzipped)
	if t.Logf("gzipped: the service worker %d bytes", worker); worker == 0 || worker > 1536 {
		t.Errorf("the service worker: %d bytes of 1.5 KiB", worker)
	}
	t.Logf("gzipped: scripts %d bytes, styles %d bytes", scripts, styles)
	if scripts > 40<<10 || styles > 8<<10 {
		t.Errorf("scripts %d bytes of 40 KiB, styles %d bytes of 8 KiB", scripts, styles)
	}
}

// TestRootFiles reads what browsers keep the addresses of.
func TestRootFiles(t *testing.T) {
	t.Parallel()
	site := New(Options{})
	for path, contentType := range map[string]string{
		"/sw.js": "text/javascript; charset=utf-8", "/manifest.webmanifest": "application/manifest+json",
		"/icon-192.png": "image/png", "/icon-512.png": "image/png", "/apple-touch-icon.png": "image/png",
	} {
		answer := get(t, site, path)
		if h := answer.Header(); answer.Code != 200 || h.Get("Content-Type") != contentType || h.Get("Cache-Control") != cacheNever ||
			h.Get("Content-Security-Policy") != contentSecurityPolicy || h.Get("ETag") == "" {
			t.Errorf("%s: %d %v", path, answer.Code, h)
		}
	}
	if len(RootPaths()) != 5 {
		t.Errorf("there are %v", RootPaths())
	}
	var manifest struct{ Icons []struct{ Src string } }
	if err := json.Unmarshal(get(t, site, "/manifest.webmanifest").Body.Bytes(), &manifest); err != nil || len(manifest.Icons) == 0 {
		t.Fatalf("the manifest: %v", err)
	}
	for _, icon := range manifest.Icons {
		if get(t, site, icon.Src).Code != 200 {
			t.Errorf("the manifest names %s", icon.Src)
		}
	}
	if !strings.Contains(contentSecurityPolicy, "; trusted-types sw") || strings.Contains(contentSecurityPolicy, "allow-duplicates") ||
		!strings.Contains(contentSecurityPolicy, "; manifest-src 'self'") {
		t.Errorf("the policy is %s", contentSecurityPolicy)
	}
}
