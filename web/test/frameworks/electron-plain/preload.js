const { contextBridge } = require('electron')

contextBridge.exposeInMainWorld('versions', {
  names: () => Object.keys(process.versions).join(', ')
})
