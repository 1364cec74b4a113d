package web

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

//go:embed docs
var docsFolder embed.FS

// docsFiles are the files of the page at /docs by their addresses. They are
// no part of the dashboard's tree: it does not load them, and its budgets do
// not pay for them.
var docsFiles = sync.OnceValue(func() map[string]*file {
	files := map[string]*file{}
	err := fs.WalkDir(docsFolder, "docs", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(docsFolder, name)
		if err != nil {
			return err
		}
		address := clientPrefix + name
		if rest, isPage := strings.CutSuffix(name, "/"+indexName); isPage {
			address = "/" + rest
		}
		files[address], err = newFile(name, body, true)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("web: embedded folder: %v", err)) // files fixed at compile time
	}
	return files
})
