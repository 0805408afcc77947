// Verifies an unpacked bundle with Go's own x/mod: main VKEY FOLDER. Nothing of Erhai is used.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type folder string

func (f folder) Height() int                      { return 8 }
func (f folder) SaveTiles([]tlog.Tile, [][]byte)  {}
func (f folder) read(name string) ([]byte, error) { return os.ReadFile(filepath.Join(string(f), name)) }
func (f folder) ReadTiles(tiles []tlog.Tile) (all [][]byte, err error) {
	for _, t := range tiles {
		data, err := f.read("tile/" + strings.TrimPrefix(t.Path(), "tile/8/"))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

type grown []tlog.Hash

func (g *grown) ReadHashes(indexes []int64) (found []tlog.Hash, err error) {
	for _, i := range indexes {
		found = append(found, (*g)[i])
	}
	return found, nil
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	f := folder(os.Args[2])
	verifier, err := note.NewVerifier(os.Args[1])
	must(err)
	signed, err := f.read("checkpoint")
	must(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	must(err)
	var tree tlog.Tree
	var root string
	_, err = fmt.Sscanf(opened.Text, verifier.Name()+"\n%d\n%s\n", &tree.N, &root)
	must(err)
	tree.Hash, err = tlog.ParseHash(root)
	must(err)
	hashes := tlog.TileHashReader(tree, f)
	var stored grown
	for first := int64(0); first < tree.N; first += 256 {
		width := tree.N - first
		if width > 256 {
			width = 256
		}
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		leaves, err := hashes.ReadHashes(indexes)
		must(err)
		path := tlog.Tile{H: 8, L: 0, N: first / 256, W: int(width)}.Path()
		data, err := f.read("tile/entries/" + strings.TrimPrefix(path, "tile/8/0/"))
		must(err)
		for i, leaf := range leaves {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				must(fmt.Errorf("entry %d is cut", first+int64(i)))
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:end]) != leaf {
				must(fmt.Errorf("entry %d does not match", first+int64(i)))
			}
			more, err := tlog.StoredHashes(first+int64(i), data[2:end], &stored)
			must(err)
			stored = append(stored, more...)
			data = data[end:]
		}
		if len(data) != 0 {
			must(fmt.Errorf("bytes behind entry %d", first+width-1))
		}
	}
	// x/mod 0.7.0 does not authenticate every tile that it hands out, so the root is made anew from the entries too.
	again, err := tlog.TreeHash(tree.N, &stored)
	must(err)
	if again != tree.Hash {
		must(fmt.Errorf("the entries do not give the root"))
	}
	fmt.Println("ok", tree.N)
}
