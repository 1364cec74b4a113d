package web

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

//go:embed root
var rootFolder embed.FS

// rootFiles are the files whose addresses browsers keep, and which therefore name no tree: the
// service worker, the manifest and its icons. Browsers ask for them again each time.
var rootFiles = sync.OnceValue(func() map[string]*file {
	files := map[string]*file{}
	err := fs.WalkDir(rootFolder, "root", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(rootFolder, name)
		if err != nil {
			return err
		}
		files[strings.TrimPrefix(name, "root")], err = newFile(name, stripped(name, body), true)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("web: embedded folder: %v", err)) // files fixed at compile time
	}
	return files
})

// RootPaths are the addresses of these files.
func RootPaths() (paths []string) {
	for path := range rootFiles() {
		paths = append(paths, path)
	}
	return paths
}
