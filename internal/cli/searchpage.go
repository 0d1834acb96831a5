package cli

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/unimo-go/unimo/internal/report"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
)

// thumbnailSide is the longer side of a picture on a page of search, in pixels: sharp on a phone.
const thumbnailSide = 480

// searchedFor begins the page of a query.
func searchedFor(r *retrieve.Retriever, text, image string) report.Search {
	if image != "" {
		return report.Search{Query: "Like " + picture.ID(filepath.Base(image)), Picture: r.Thumbnail(image, thumbnailSide)}
	}
	return report.Search{Query: text}
}

// showFound writes the page of what was found to a file, and opens it in the browser if show. Without
// a name for the file it goes to the folder for temporary files.
func (a *app) showFound(r *retrieve.Retriever, s *retrieve.Search, page report.Search, hits []rank.Found, file string, show bool) error {
	page.About = fmt.Sprintf("the best %d of %d pictures in %s", len(hits), s.Info.Images, s.Info.Source)
	for _, h := range hits {
		hit := report.SearchHit{Name: h.ID, Similarity: float64(h.Similarity)}
		if path := s.Path(h.ID); path != "" {
			if hit.Picture = r.Thumbnail(path, thumbnailSide); hit.Picture != "" {
				hit.Link = fileURL(path)
			}
		}
		if h.Ranked {
			match := float64(h.Match)
			hit.Match = &match
		}
		page.Hits = append(page.Hits, hit)
	}
	if file == "" {
		f, err := os.CreateTemp("", "unimo-search-*.html")
		if err != nil {
			return fmt.Errorf("make a page: %w", err)
		}
		f.Close()
		file = f.Name()
	}
	if err := atomicfile.Write(file, func(w io.Writer) error { return report.WriteSearch(w, page) }); err != nil {
		return err
	}
	if !show {
		return nil
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := openInBrowser(abs); err != nil {
		return fmt.Errorf("the page is in %s, but no browser could be started: %w", abs, err)
	}
	a.log.Info("opened in the browser: " + abs)
	return nil
}

// fileURL returns the link to a file.
func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if path[0] != '/' { // a drive
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// openInBrowser opens a page with the program that the system has for it.
func openInBrowser(file string) error {
	command := []string{"xdg-open", file}
	switch runtime.GOOS {
	case "darwin":
		command[0] = "open"
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", file}
	}
	return exec.Command(command[0], command[1:]...).Start()
}
