export { EXIT_CODES, isQuipuError, QuipuError, type QuipuErrorCode } from "./errors.js";
