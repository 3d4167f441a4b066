/* A chat that was shared: its code can be copied and wrapped. */

import { equipCode } from "./code.js";

equipCode(document);
