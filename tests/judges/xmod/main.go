// Judges a log exported as static files with Go's own x/mod: main VKEY[,COSIGNER...] FOLDER. Nothing of Erhai is used.
//
// FOLDER holds what a bundle holds: checkpoint, tile/…, and where there are any proofs/*.tlog-proof and
// consistency/OLDSIZE (the old root, then the proof's hashes, base64, one a line). It prints "ok SIZE COSIGNERS" or the
// first thing that does not fit, beginning with the file that it is in.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type folder string

func (f folder) Height() int                     { return 8 }
func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// read names the file in every error, and the file of another width that lies in its place.
func (f folder) read(name string, sizes ...int) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(f), name))
	if errors.Is(err, os.ErrNotExist) {
		full := strings.SplitN(name, ".p/", 2)[0]
		others, _ := filepath.Glob(filepath.Join(string(f), full) + ".p/*")
		if info, err := os.Stat(filepath.Join(string(f), full)); err == nil && !info.IsDir() {
			others = append(others, filepath.Join(string(f), full))
		}
		if len(others) > 0 {
			other, _ := filepath.Rel(string(f), others[0])
			return nil, fmt.Errorf("%s: wrong width, there is %s", name, other)
		}
		return nil, fmt.Errorf("%s: missing", name)
	}
	if err == nil && len(sizes) == 1 && len(data) != sizes[0] {
		return nil, fmt.Errorf("%s: wrong width, %d bytes, not %d", name, len(data), sizes[0])
	}
	return data, err
}

func nameOf(t tlog.Tile) string { return "tile/" + strings.TrimPrefix(t.Path(), "tile/8/") }

func (f folder) ReadTiles(tiles []tlog.Tile) (all [][]byte, err error) {
	for _, t := range tiles {
		data, err := f.read(nameOf(t), t.W*tlog.HashSize)
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

// cosigner verifies C2SP cosignature/v1, which x/mod does not know: keys of type 4, a time before the signature.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), text)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

func newCosigner(vkey string) (cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return cosigner{}, errors.New("not a vkey")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 4 {
		return cosigner{}, errors.New("not a cosigner's vkey")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	return cosigner{parts[0], binary.BigEndian.Uint32(sum[:]), key[1:]}, nil
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func bad(format string, args ...interface{}) { must(fmt.Errorf(format, args...)) }

// open returns the tree of a note, and who of the known signed it. Signatures of strangers are counted, never believed.
func open(where string, signed []byte, log note.Verifier, all note.Verifiers) (tree tlog.Tree, by []string, strangers int) {
	opened, err := note.Open(signed, all)
	if err != nil {
		bad("%s: %v", where, err)
	}
	logged := false
	for _, s := range opened.Sigs {
		if s.Name == log.Name() && s.Hash == log.KeyHash() {
			logged = true
		} else {
			by = append(by, s.Name)
		}
	}
	if !logged {
		bad("%s: not signed by %s", where, log.Name())
	}
	var root string
	if _, err = fmt.Sscanf(opened.Text, log.Name()+"\n%d\n%s\n", &tree.N, &root); err != nil {
		bad("%s: not of %s", where, log.Name())
	}
	if tree.Hash, err = tlog.ParseHash(root); err != nil {
		bad("%s: %v", where, err)
	}
	sort.Strings(by)
	return tree, by, len(opened.UnverifiedSigs)
}

func hashesOf(where string, lines []string) (found []tlog.Hash) {
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			bad("%s: %v", where, err)
		}
		found = append(found, hash)
	}
	return found
}

func main() {
	keys, f := strings.Split(os.Args[1], ","), folder(os.Args[2])
	log, err := note.NewVerifier(keys[0])
	must(err)
	verifiers := []note.Verifier{log}
	for _, vkey := range keys[1:] {
		one, err := newCosigner(vkey)
		must(err)
		verifiers = append(verifiers, one)
	}
	all := note.VerifierList(verifiers...)
	signed, err := f.read("checkpoint")
	must(err)
	tree, by, strangers := open("checkpoint", signed, log, all)

	// Every tile that this size has is there and as wide as it must be.
	for level, count := 0, tree.N; count > 0; level, count = level+1, count>>8 {
		for n := int64(0); n*256 < count; n++ {
			width := count - n*256
			if width > 256 {
				width = 256
			}
			_, err := f.read(nameOf(tlog.Tile{H: 8, L: level, N: n, W: int(width)}), int(width)*tlog.HashSize)
			must(err)
		}
	}

	// Every entry has the hash that stands in level 0. The tree is made anew from the entries, for x/mod 0.7.0 does not
	// authenticate every tile that it hands out.
	hashes := tlog.TileHashReader(tree, f)
	var stored grown
	for first := int64(0); first < tree.N; first += 256 {
		width := tree.N - first
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: 8, L: 0, N: first / 256, W: int(width)}
		entries := "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/0/")
		leaves, err := f.read(nameOf(tile), int(width)*tlog.HashSize)
		must(err)
		data, err := f.read(entries)
		must(err)
		for i := int64(0); i < width; i++ {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				bad("%s: entry %d is cut", entries, first+i)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			leaf := tlog.RecordHash(data[2:end])
			if !bytes.Equal(leaf[:], leaves[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
				bad("%s or %s: entry %d does not match", entries, nameOf(tile), first+i)
			}
			more, err := tlog.StoredHashes(first+i, data[2:end], &stored)
			must(err)
			stored = append(stored, more...)
			data = data[end:]
		}
		if len(data) != 0 {
			bad("%s: bytes behind entry %d", entries, first+width-1)
		}
	}
	// Every tile above holds the hashes that the entries make.
	for level, count := 1, tree.N>>8; count > 0; level, count = level+1, count>>8 {
		for n := int64(0); n*256 < count; n++ {
			width := count - n*256
			if width > 256 {
				width = 256
			}
			tile := tlog.Tile{H: 8, L: level, N: n, W: int(width)}
			made, err := tlog.ReadTileData(tile, &stored)
			must(err)
			data, err := f.read(nameOf(tile))
			must(err)
			for i := 0; i < int(width); i++ {
				if !bytes.Equal(made[i*tlog.HashSize:(i+1)*tlog.HashSize], data[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
					bad("%s: hash %d does not match", nameOf(tile), i)
				}
			}
		}
	}
	again, err := tlog.TreeHash(tree.N, &stored)
	must(err)
	if again != tree.Hash {
		bad("checkpoint: the entries do not give its root")
	}

	// x/mod makes its own proofs from the tiles, and believes them.
	for _, n := range []int64{0, tree.N / 3, tree.N / 2, tree.N - 1} {
		proof, err := tlog.ProveRecord(tree.N, n, hashes)
		must(err)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, n, stored[tlog.StoredHashIndex(0, n)]))
	}

	// And it believes ours.
	proofs, _ := filepath.Glob(filepath.Join(string(f), "proofs", "*.tlog-proof"))
	for _, path := range proofs {
		where, _ := filepath.Rel(string(f), path)
		data, err := f.read(where)
		must(err)
		parts := strings.SplitN(string(data), "\n\n", 2)
		lines := strings.Split(parts[0], "\n")
		if len(parts) != 2 || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
			bad("%s: not a tlog-proof", where)
		}
		index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
		must(err)
		of, _, _ := open(where, []byte(parts[1]), log, all)
		if index >= tree.N {
			bad("%s: no entry %d", where, index)
		}
		leaf := stored[tlog.StoredHashIndex(0, index)]
		if err := tlog.CheckRecord(hashesOf(where, lines[2:]), of.N, of.Hash, index, leaf); err != nil {
			bad("%s: %v", where, err)
		}
	}
	olds, _ := filepath.Glob(filepath.Join(string(f), "consistency", "*"))
	for _, path := range olds {
		where, _ := filepath.Rel(string(f), path)
		data, err := f.read(where)
		must(err)
		old, err := strconv.ParseInt(filepath.Base(path), 10, 64)
		must(err)
		lines := hashesOf(where, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"))
		if err := tlog.CheckTree(lines[1:], tree.N, tree.Hash, old, lines[0]); err != nil {
			bad("%s: %v", where, err)
		}
		own, err := tlog.ProveTree(tree.N, old, hashes)
		must(err)
		if fmt.Sprint(own) != fmt.Sprint(tlog.TreeProof(lines[1:])) {
			bad("%s: x/mod makes another proof", where)
		}
	}
	fmt.Printf("ok %d, cosigned by %s, %d strangers, %d proofs, %d consistency\n",
		tree.N, strings.Join(by, " "), strangers, len(proofs), len(olds))
}
