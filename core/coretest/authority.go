package coretest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// An authority is a certificate authority made for one start, and the server
// certificate it signed. The files live as long as the nodes.
type authority struct {
	roots                     *x509.CertPool
	caFile, certFile, keyFile string
}

func newAuthority(dir string) (*authority, error) {
	ca := template("coretest authority", 1)
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageCertSign
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{
		roots:    x509.NewCertPool(),
		caFile:   filepath.Join(dir, "ca.pem"),
		certFile: filepath.Join(dir, "server.pem"),
		keyFile:  filepath.Join(dir, "server.key"),
	}
	signed, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	if ca, err = x509.ParseCertificate(signed); err != nil {
		return nil, err
	}
	a.roots.AddCert(ca)
	if err := writePEM(a.caFile, "CERTIFICATE", signed); err != nil {
		return nil, err
	}
	return a, a.issue(ca, caKey)
}

// issue writes the servers' certificate and its key.
func (a *authority) issue(ca *x509.Certificate, caKey *ecdsa.PrivateKey) error {
	server := template("coretest redis-server", 2)
	server.KeyUsage = x509.KeyUsageDigitalSignature
	// A node of a cluster, and a replica, is a client of its peers.
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	server.IPAddresses = []net.IP{net.ParseIP(host)}
	server.DNSNames = []string{"localhost"}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	signed, err := x509.CreateCertificate(rand.Reader, server, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(a.certFile, "CERTIFICATE", signed); err != nil {
		return err
	}
	return writePEM(a.keyFile, "PRIVATE KEY", secret)
}

func template(name string, serial int64) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(30 * 24 * time.Hour),
	}
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (a *authority) clientConfig() *tls.Config {
	return &tls.Config{RootCAs: a.roots, ServerName: host, MinVersion: tls.VersionTLS12}
}

func (a *authority) directives() map[string]string {
	return map[string]string{
		"tls-ca-cert-file": a.caFile,
		"tls-cert-file":    a.certFile,
		"tls-key-file":     a.keyFile,
		"tls-auth-clients": "no",
		"tls-replication":  "yes",
		"tls-cluster":      "yes",
	}
}
