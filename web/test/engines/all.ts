// The tests of make test-firefox and make test-webkit, in one process and one browser.
import "./engines.test.js";
import "./helper.test.js";
import "../launcher.test.js";
import "../web-example.test.js";
import "../leases.test.js";
import "../answers.test.js";
import "../between.test.js";
import "../accessibility.test.js";
import "../element-a11y.test.js";
import "../element-answers.test.js";
import "../element-axe.test.js";
import "../element-helper.test.js";
import "../element-life.test.js";
import "../element-settings.test.js";
