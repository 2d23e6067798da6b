package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The clients from Whop's documentation, with only the URL changed. They print
// what an app sees: the status, then the body.
var documented = map[string]struct{ program, file, source string }{
	"JavaScript": {"node", "client.mjs", `
const [base, key, hwid] = process.argv.slice(2);
const options = {
  method: 'POST',
  headers: {
    accept: 'application/json',
    'content-type': 'application/json',
    Authorization: 'Bearer an-api-key-that-was-shipped-in-the-app'
  },
  body: JSON.stringify({metadata: {HWID: hwid}})
};
const response = await fetch(base + '/api/v2/memberships/' + key + '/validate_license', options);
console.log(JSON.stringify({status: response.status, body: await response.json()}));
`},
	"Python": {"python3", "client.py", `
import json, sys
import requests
base, key, hwid = sys.argv[1:]
url = f"{base}/api/v2/memberships/{key}/validate_license"
payload = {"metadata": {"HWID": hwid}}
headers = {
    "accept": "application/json",
    "content-type": "application/json",
    "Authorization": "Bearer an-api-key-that-was-shipped-in-the-app",
}
response = requests.post(url, json=payload, headers=headers)
print(json.dumps({"status": response.status_code, "body": response.json()}))
`},
}

func TestDocumentedClients(t *testing.T) {
	t.Parallel()
	for name, c := range documented {
		t.Run(name, func(t *testing.T) {
			if name == "Python" && exec.Command(c.program, "-c", "import requests").Run() != nil {
				t.Skip("there is no python3 with requests here")
			}
			file := filepath.Join(t.TempDir(), c.file)
			require.NoError(t, os.WriteFile(file, []byte(c.source), 0o600))
			key, gone := testKey("docs"), testKey("gone")
			sim := startSim(t, []fields{licensed(key), licensed(gone, fields{"status": "canceled"})})
			g := startGateway(t, sim)
			ask := func(key, hwid string) (answer struct {
				Status int
				Body   struct {
					ID         string
					Valid      bool
					LicenseKey string `json:"license_key"`
					Metadata   map[string]string
					Error      struct{ Message string }
				}
			}) {
				cmd := exec.Command(c.program, file, g.url, key, hwid)
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				require.NoError(t, err)
				require.NoError(t, json.Unmarshal(out, &answer), string(out))
				return answer
			}
			for range 2 {
				a := ask(key, machine(1))
				assert.Equal(t, http.StatusCreated, a.Status)
				assert.True(t, a.Body.Valid)
				assert.Equal(t, key, a.Body.LicenseKey)
				assert.Equal(t, map[string]string{"HWID": machine(1)}, a.Body.Metadata)
				assert.Equal(t, sim.membership(key).ID, a.Body.ID)
			}
			a := ask(key, machine(2))
			assert.Equal(t, http.StatusBadRequest, a.Status)
			assert.Equal(t, "Please reset your key to use on a new machine", a.Body.Error.Message)
			a = ask(testKey("nobody"), machine(1))
			assert.Equal(t, http.StatusNotFound, a.Status)
			a = ask(gone, machine(1))
			assert.Equal(t, http.StatusForbidden, a.Status)
			sim.reset(key)
			assert.Equal(t, http.StatusCreated, ask(key, machine(2)).Status)
		})
	}
}
