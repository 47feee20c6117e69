package keyfuncs

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
)

// Hash is the SHA-256 of the keys of all fs, in 64 lower-case hexadecimal
// digits: for keys that are long, or secret. What is hashed is, for each key in
// order, its length in bytes as a big-endian 64-bit integer and then the key,
// so that no two lists of keys are hashed alike. A hash hides a session
// cookie, but not a value that can be guessed, such as an e-mail address.
func Hash(fs ...Func) Func {
	mustFuncs("Hash", fs...)
	return func(r *http.Request) (string, error) {
		var framed []byte
		for _, f := range fs {
			key, err := f(r)
			if err != nil {
				return "", err
			}
			framed = binary.BigEndian.AppendUint64(framed, uint64(len(key)))
			framed = append(framed, key...)
		}
		sum := sha256.Sum256(framed)
		return hex.EncodeToString(sum[:]), nil
	}
}
