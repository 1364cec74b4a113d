package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// contentTypes names what the tree may hold; the machine's own table of types
// is not asked, because it differs from machine to machine.
var contentTypes = map[string]string{
	".cts":  "text/plain; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".png":  "image/png",
	".svg":  "image/svg+xml",
	".ts":   "text/plain; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",

	".webmanifest": "application/manifest+json",
}

// tree is one consistent state of the files, ready to be sent.
type tree struct {
	hash  string
	files map[string]*file
}

type file struct {
	contentType string
	etag        string
	plain       []byte
	gzipped     []byte // nil when compression does not pay
}

// readTree reads, hashes and compresses all files of a folder, and serves more beside them.
// Compression is left out while developing, when every request reads the tree again.
func readTree(source fs.FS, page indexData, more map[string][]byte) (*tree, error) {
	contents := map[string][]byte{}
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if contentTypes[path.Ext(name)] == "" {
			return fmt.Errorf("%s: no content type for its extension", name)
		}
		contents[name], err = fs.ReadFile(source, name)
		if !page.Dev {
			contents[name] = stripped(name, contents[name])
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("walk the page's files: %w", err)
	}
	if contents[indexName] == nil {
		return nil, errNoIndex
	}
	names := make([]string, 0, len(contents))
	for name := range contents {
		names = append(names, name)
	}
	slices.Sort(names)

	t := &tree{hash: hashTree(names, contents), files: map[string]*file{}}
	for name, body := range more {
		contents[name] = body
	}
	if contents[indexName], err = t.index(contents[indexName], contents[iconName], reachable(contents), page); err != nil {
		return nil, err
	}
	for name, body := range contents {
		if t.files[name], err = newFile(name, body, !page.Dev); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// entryModule is where the page's modules begin.
const entryModule = "page.js"

// imported finds the module that a line of JavaScript imports statically.
var imported = regexp.MustCompile(`(?m)^(?:import|export|\})[^'"\n]*['"](\.{1,2}/[^'"]+)['"];`)

// reachable lists the modules that the page imports, itself first: what a browser
// would find only one after the other.
func reachable(contents map[string][]byte) []string {
	found := []string{}
	for next := []string{entryModule}; len(next) > 0; next = next[1:] {
		name := next[0]
		if contents[name] == nil || slices.Contains(found, name) {
			continue
		}
		found = append(found, name)
		for _, match := range imported.FindAllSubmatch(contents[name], -1) {
			next = append(next, path.Join(path.Dir(name), string(match[1])))
		}
	}
	return found
}

// hashTree names a set of files by all their names and contents.
func hashTree(names []string, contents map[string][]byte) string {
	sum := sha256.New()
	for _, name := range names {
		fmt.Fprintf(sum, "%s\x00%d\x00", name, len(contents[name]))
		sum.Write(contents[name])
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

func newFile(name string, body []byte, compress bool) (*file, error) {
	sum := sha256.Sum256(body)
	f := &file{
		contentType: contentTypes[path.Ext(name)],
		etag:        hex.EncodeToString(sum[:8]),
		plain:       body,
	}
	if !compress || path.Ext(name) == ".png" {
		return f, nil
	}
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress %s: %w", name, err)
	}
	if _, err := io.Copy(zip, bytes.NewReader(body)); err != nil {
		return nil, fmt.Errorf("compress %s: %w", name, err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("compress %s: %w", name, err)
	}
	if out.Len() < len(body) {
		f.gzipped = out.Bytes()
	}
	return f, nil
}

// acceptsGzip reads Accept-Encoding: named and not refused with q=0.
func acceptsGzip(values []string) bool {
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		quality, given := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
		if !given {
			return true
		}
		q, err := strconv.ParseFloat(quality, 64)
		return err == nil && q > 0
	}
	return false
}
