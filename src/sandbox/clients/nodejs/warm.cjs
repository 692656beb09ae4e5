// Loaded by a runtime that waits for its function, so that the loader's own code is compiled by then; and what most
// functions or their SDK ask for.
'use strict';
require('node:http');
require('node:https');
require('node:crypto');
require('node:util');
require('node:stream');
