const names = document.getElementById('versions')
names.innerText = `known to the preload: ${window.versions.names()}`
