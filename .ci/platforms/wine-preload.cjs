// What Wine lacks, replaced in Node before the tests run.
require("node:net").Socket.prototype.setKeepAlive = function () {
  return this; // fetch calls it on each connection
};
