//// dense
/* y = bias + x * kernel, of one member. */
static void dense(const double *x, int n, const WEIGHT *kernel, const WEIGHT *bias, double *y, int units)
{
    int from, to;
    for (to = 0; to < units; to++)
        y[to] = (double)bias[to];
    for (from = 0; from < n; from++)
        for (to = 0; to < units; to++)
            y[to] += x[from] * (double)kernel[from * units + to];
}

//// linear
static void linear(double *x, int n)
{
    (void)x;
    (void)n;
}

//// relu
static void relu(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = *x > 0 ? *x : 0;
}

//// elu
static void elu(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = *x > 0 ? *x : expm1(*x);
}

//// selu
static void selu(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = 1.0507009873554805 * (*x > 0 ? *x : 1.6732632423543772 * expm1(*x));
}

//// gelu
/* The constant is rounded to float32, as the network was trained with it. */
static void gelu(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = *x * 0.5 * erfc(-*x * 0.7071067690849304);
}

//// silu
static void silu(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = *x < 0 ? *x * exp(*x) / (1 + exp(*x)) : *x / (1 + exp(-*x));
}

//// softplus
static void softplus(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = (*x > 0 ? *x : 0) + log1p(exp(-fabs(*x)));
}

//// tanh
static void hyperbolic_tangent(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = tanh(*x);
}

//// sigmoid
static void sigmoid(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = *x < 0 ? exp(*x) / (1 + exp(*x)) : 1 / (1 + exp(-*x));
}

//// leaky_relu
/* The constant is rounded to float32, as the network was trained with it. */
static void leaky_relu(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = *x > 0 ? *x : 0.20000000298023224 * *x;
}

//// softsign
static void softsign(double *x, int n)
{
    for (; n > 0; n--, x++)
        *x = *x / (1 + fabs(*x));
}

//// softmax
static void softmax(double *x, int n)
{
    double most = x[0], sum = 0;
    int i;
    for (i = 1; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - most);
    for (i = 0; i < n; i++)
        x[i] /= sum;
}

//// put_number
/* Scaled, then a piece for each two edges, then 1 where it is missing; returns where the next column begins. */
static double *put_number(double *to, double value, int takes_missing, double median, double offset, double scale,
                          const double *edges, int n_edges)
{
    double filled = isnan(value) ? median : value;
    int piece;
    *to++ = (filled - offset) / scale;
    for (piece = 0; piece < n_edges - 1; piece++) {
        double risen = (filled - edges[piece]) / (edges[piece + 1] - edges[piece]);
        /* The first piece goes on below 0, the last one above 1. */
        double above = piece > 0 && risen < 0 ? 0 : risen;
        *to++ = piece < n_edges - 2 && above > 1 ? 1 : above;
    }
    if (takes_missing)
        *to++ = isnan(value) ? 1 : 0;
    return to;
}

//// along
/* The position along a direction of two scaled values, of which a missing one is the mean. */
static double along(double first, double second, double one, double other)
{
    return one * (isnan(first) ? 0 : first) + other * (isnan(second) ? 0 : second);
}

//// put_boolean
static double *put_boolean(double *to, double value, int takes_missing)
{
    *to++ = isnan(value) ? 0 : 2 * value - 1;
    if (takes_missing)
        *to++ = isnan(value) ? 1 : 0;
    return to;
}

//// put_turn
/* The place in a cycle, as a point on a circle. */
static double *put_turn(double *to, double value, double median, double length)
{
    double turn = 2 * 3.141592653589793 * (isnan(value) ? median : value) / length;
    *to++ = sin(turn);
    *to++ = cos(turn);
    return to;
}

//// put_category
/* A 1 at the place of the value; behind the last one for a value that is unknown, and then one for a missing one. */
static double *put_category(double *to, const char *value, const char *const *values, int n_values)
{
    int slot;
    for (slot = 0; slot < n_values + 2; slot++)
        to[slot] = 0;
    slot = n_values + 1;
    if (value != NULL)
        for (slot = 0; slot < n_values && strcmp(value, values[slot]) != 0; slot++)
            ;
    to[slot] = 1;
    return to + n_values + 2;
}

//// put_means
/* The mean targets of the value, n_means of them; 0 of a value that is unknown or missing. */
static double *put_means(double *to, const char *value, const char *const *told, int n_told, const double *means,
                         int n_means)
{
    int place = n_told, mean;
    if (value != NULL)
        for (place = 0; place < n_told && strcmp(value, told[place]) != 0; place++)
            ;
    for (mean = 0; mean < n_means; mean++)
        to[mean] = place < n_told ? means[place * n_means + mean] : 0;
    return to + n_means;
}

//// program
static char record[LONGEST_RECORD];
static char *fields[MOST_FIELDS];
static long line = 1;

static int fail(const char *what, const char *column)
{
    fprintf(stderr, "error: line %ld%s%s: %s\n", line, *column ? ", column " : "", column, what);
    return -1;
}

/* The next byte of standard input, where each kind of line end is one newline. */
static int next_byte(void)
{
    static int was_return = 0;
    int byte = getchar();
    if (was_return && byte == '\n')
        byte = getchar();
    was_return = byte == '\r';
    return was_return ? '\n' : byte;
}

/* Read one row into `record` and `fields`. Returns the number of fields, 0 for a blank line, -1 at the end or after a
   failure, which `line` 0 tells apart. */
static int read_row(int *has_failed)
{
    char *to = record, *end = record + LONGEST_RECORD - 1;
    int n_fields = 0, byte = next_byte(), is_quoted;
    if (byte == EOF)
        return -1;
    *has_failed = 1;
    if (byte == '\n')
        return *has_failed = 0;
    for (;;) {
        if (n_fields == MOST_FIELDS)
            return fail("too many fields", "");
        fields[n_fields++] = to;
        is_quoted = byte == '"';
        if (is_quoted) {
            for (;;) {
                byte = next_byte();
                if (byte == EOF)
                    return fail("a quote is not closed", "");
                if (byte == '"' && (byte = next_byte()) != '"')
                    break;
                if (byte == '\n')
                    line++;
                if (to == end)
                    return fail("the row is too long", "");
                *to++ = (char)byte;
            }
            if (byte != ',' && byte != '\n' && byte != EOF)
                return fail("a comma must stand behind a closing quote", "");
        }
        for (; byte != ',' && byte != '\n' && byte != EOF; byte = next_byte()) {
            if (byte == 0)
                return fail("a NUL character", "");
            if (to == end)
                return fail("the row is too long", "");
            *to++ = (char)byte;
        }
        if (to == end)
            return fail("the row is too long", "");
        *to++ = '\0';
        if (byte != ',') {
            *has_failed = 0;
            return n_fields;
        }
        byte = next_byte();
    }
}

/* The bytes of a UTF-8 character at `text`, 0 where there is none. */
static int bytes_of_character(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    int length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0, i;
    for (i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f))
        return 0;
    if ((at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

/* The number of characters of a text, -1 where it is not UTF-8. */
static long characters_in(const char *text)
{
    long n = 0;
    int length;
    for (; *text; text += length, n++)
        if ((length = bytes_of_character(text)) == 0)
            return -1;
    return n;
}

static const char *const spaces[] = {
    "\t", "\n", "\v", "\f", "\r", "\034", "\035", "\036", "\037", " ", "\302\205", "\302\240", "\341\232\200",
    "\342\200\200", "\342\200\201", "\342\200\202", "\342\200\203", "\342\200\204", "\342\200\205", "\342\200\206",
    "\342\200\207", "\342\200\210", "\342\200\211", "\342\200\212", "\342\200\250", "\342\200\251", "\342\200\257",
    "\342\201\237", "\343\200\200"};

/* Take the whitespace around a text away, in place; returns where it begins. */
static char *stripped(char *text)
{
    size_t i, length, n = sizeof spaces / sizeof spaces[0];
    for (i = 0; i < n; i++)
        if (strncmp(text, spaces[i], length = strlen(spaces[i])) == 0) {
            text += length;
            i = (size_t)-1;
        }
    for (i = 0; i < n; i++) {
        size_t all = strlen(text);
        length = strlen(spaces[i]);
        if (all >= length && strcmp(text + all - length, spaces[i]) == 0) {
            text[all - length] = '\0';
            i = (size_t)-1;
        }
    }
    return text;
}

static int is_among(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return 1;
    return 0;
}

/* Write a number with all the digits that tell two doubles apart, as Python does: 4.0, 1e+16, 1e-05. */
static void write_number(char *to, double number)
{
    char digits[40], *exponent_at, *from;
    int precision, exponent, n, i;
    for (precision = 0; precision < 17; precision++) {
        sprintf(digits, "%.*e", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    exponent_at = strchr(digits, 'e');
    exponent = atoi(exponent_at + 1);
    *exponent_at = '\0';
    from = digits;
    if (*from == '-')
        *to++ = *from++;
    if (strlen(from) > 1)
        memmove(from + 1, from + 2, strlen(from + 1));
    n = (int)strlen(from);
    if (exponent < -4 || exponent >= 16) {
        *to++ = *from;
        if (n > 1)
            *to++ = '.';
        sprintf(to, "%se%c%02d", from + 1, exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        *to++ = '0';
        *to++ = '.';
        for (i = 1; i < -exponent; i++)
            *to++ = '0';
        strcpy(to, from);
        return;
    }
    for (i = 0; i < n || i <= exponent + 1; i++) {
        if (i == exponent + 1)
            *to++ = '.';
        *to++ = i < n ? from[i] : '0';
    }
    *to = '\0';
}

//// number_syntax
/* True for a number as people write it; strtod reads more. */
static int is_number(const char *text)
{
    int n = 0;
    text += *text == '-' || *text == '+';
    for (; isdigit((unsigned char)*text); text++)
        n++;
    text += *text == '.';
    for (; isdigit((unsigned char)*text) && (n || text[-1] == '.'); text++)
        n++;
    if (n == 0)
        return 0;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        if (!isdigit((unsigned char)*text))
            return 0;
        while (isdigit((unsigned char)*text))
            text++;
    }
    return *text == '\0';
}

//// numbers
/* Read a number; returns 0, or 1 where it is none, 2 where it is not finite. */
static int read_number(const char *text, double *value)
{
    if (!is_number(text))
        return 1;
    *value = strtod(text, NULL);
    return isinf(*value) ? 2 : 0;
}

//// missing_numbers
/* True for a number, or a word for infinity, that means a missing value. */
static int is_missing_number(const char *text, const double *missing, int n)
{
    double number;
    char bare[12];
    int i;
    const char *unsigned_text = text + (*text == '-' || *text == '+');
    for (i = 0; i < 11 && unsigned_text[i]; i++)
        bare[i] = (char)tolower((unsigned char)unsigned_text[i]);
    bare[i] = '\0';
    if (strcmp(bare, "inf") == 0 || strcmp(bare, "infinity") == 0)
        number = *text == '-' ? -HUGE_VAL : HUGE_VAL;
    else if (is_number(text))
        number = strtod(text, NULL);
    else
        return 0;
    for (i = 0; i < n; i++)
        if (number == missing[i])
            return 1;
    return 0;
}

//// booleans
static int read_boolean(char *text, double *value)
{
    char *at;
    for (at = text; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    *value = is_among(text, words_of_true);
    return !(*value == 1 || is_among(text, words_of_false));
}

//// categories
static char texts[N_COLUMNS][MOST_BYTES_OF_CATEGORY];

/* Write the name of a category: one for 3, 3.0, 3e0 and "3", another for 007; one for True and true. */
static void write_category(char *to, const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+'), *at;
    int n = 0;
    strcpy(to, text);
    for (at = text; *at; at++)
        n += isdigit((unsigned char)*at) != 0;
    if (is_number(text) && !(digits[0] == '0' && isdigit((unsigned char)digits[1])) && n <= 15) {
        double number = strtod(text, NULL);
        if (isinf(number))
            return;
        if (number == floor(number) && fabs(number) < 1e15)
            sprintf(to, "%.0f", number == 0 ? 0.0 : number);
        else
            write_number(to, number);
        return;
    }
    if (strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0)
        strcpy(to, "true");
    if (strcmp(text, "False") == 0 || strcmp(text, "FALSE") == 0)
        strcpy(to, "false");
}

//// clock
/* Read digits, at least and at most so many; returns where they end, NULL where there are others. */
static const char *read_digits(const char *text, int least, int most, long *value)
{
    int n;
    *value = 0;
    for (n = 0; n < most && isdigit((unsigned char)text[n]); n++)
        *value = *value * 10 + (text[n] - '0');
    return n < least ? NULL : text + n;
}

/* Read :05 and :05.25 behind hours; returns where it ends, NULL where it is no clock time. Microseconds are added. */
static const char *read_clock(const char *text, double *micros)
{
    long minute, second = 0, digit, unit;
    if (*text != ':' || (text = read_digits(text + 1, 2, 2, &minute)) == NULL || minute > 59)
        return NULL;
    *micros += 60e6 * (double)minute;
    if (*text != ':')
        return text;
    if ((text = read_digits(text + 1, 2, 2, &second)) == NULL || second > 59)
        return NULL;
    *micros += 1e6 * (double)second;
    if ((*text == '.' || *text == ',') && isdigit((unsigned char)text[1])) {
        int n;
        for (text++, unit = 100000, n = 0; n < 9 && isdigit((unsigned char)*text); text++, n++, unit /= 10) {
            digit = *text - '0';
            *micros += (double)(digit * unit);
        }
    }
    return text;
}

//// dates
static int is_leap(long year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Read an ISO 8601 date or moment as days since 1970-01-01; the zone is not converted. Returns 0, or 1. */
static int read_date(const char *text, double *value)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    long year, month, day, hour, days, before, i;
    double micros = 0;
    if ((text = read_digits(text, 4, 4, &year)) == NULL || *text != '-')
        return 1;
    if ((text = read_digits(text + 1, 1, 2, &month)) == NULL || *text != '-')
        return 1;
    if ((text = read_digits(text + 1, 1, 2, &day)) == NULL || year < 1 || month < 1 || month > 12 || day < 1)
        return 1;
    if (day > lengths[month - 1] + (month == 2 && is_leap(year)))
        return 1;
    if (*text == 'T' || *text == ' ') {
        if ((text = read_digits(text + 1, 1, 2, &hour)) == NULL || hour > 23)
            return 1;
        micros = 3600e6 * (double)hour;
        if ((text = read_clock(text, &micros)) == NULL)
            return 1;
        if (*text == 'Z')
            text++;
        else if (*text == '+' || *text == '-') {
            if ((text = read_digits(text + 1, 2, 2, &hour)) == NULL)
                return 1;
            text += *text == ':';
            if (*text && (text = read_digits(text, 2, 2, &hour)) == NULL)
                return 1;
        }
    }
    before = year - 1;
    days = before * 365 + before / 4 - before / 100 + before / 400 - 719162 + day - 1;
    for (i = 1; i < month; i++)
        days += lengths[i - 1] + (i == 2 && is_leap(year));
    *value = ((double)days * 86400e6 + micros) / 86400e6;
    return *text != '\0';
}

//// times
/* Read 13:31 or 13:31:05.25 as seconds since midnight. Returns 0, or 1. */
static int read_time(const char *text, double *value)
{
    long hour;
    double micros;
    if ((text = read_digits(text, 1, 2, &hour)) == NULL || hour > 23)
        return 1;
    micros = 3600e6 * (double)hour;
    if ((text = read_clock(text, &micros)) == NULL || *text)
        return 1;
    *value = micros / 1e6;
    return 0;
}

//// durations
/* Read 85:00:00, -85:00:00 or 3 days 13:00:00 as seconds. Returns 0, or 1. */
static int read_duration(const char *text, double *value)
{
    int is_negative = *text == '-';
    long days = 0, hours;
    double micros;
    const char *after;
    text += *text == '-' || *text == '+';
    if ((after = read_digits(text, 1, 7, &days)) != NULL && strncmp(after, " day", 4) == 0) {
        if (is_negative)
            return 1;
        text = after + 4;
        text += *text == 's';
        text += *text == ' ';
    } else
        days = 0;
    if ((text = read_digits(text, 1, 8, &hours)) == NULL)
        return 1;
    micros = 86400e6 * (double)days + 3600e6 * (double)hours;
    if (text[0] != ':' || !isdigit((unsigned char)text[1]) || !isdigit((unsigned char)text[2]) || text[3] != ':')
        return 1;
    if ((text = read_clock(text, &micros)) == NULL || *text || micros > 3652059.0 * 86400e6)
        return 1;
    *value = (is_negative ? -micros : micros) / 1e6;
    return 0;
}

//// main
static int is_index(const char *name)
{
    size_t length = strlen(name);
    if (strcmp(name, "Unnamed: 0") == 0)
        return 1;
    if (length < 17 || strncmp(name, "__index_level_", 14) != 0 || strcmp(name + length - 2, "__") != 0)
        return 0;
    for (name += 14; isdigit((unsigned char)*name); name++)
        ;
    return strcmp(name, "__") == 0;
}

/* Find the place in a row of each column, -1 where it is left out. Returns 0, or -1 after a failure. */
static int read_header(int n_fields, int *places)
{
    int i, j, n_found = 0;
    static char unnamed[] = "Unnamed: 0";
    for (i = 0; i < n_fields; i++) {
        if (characters_in(fields[i]) < 0)
            return fail("the CSV is not UTF-8", "");
        fields[i] = stripped(fields[i]);
    }
    if (n_fields > 1 && *fields[0] == '\0')
        fields[0] = unnamed; /* the index of pandas */
    for (j = 0; j < N_COLUMNS; j++)
        places[j] = -1;
    for (i = 0; i < n_fields; i++) {
        int is_known = is_among(fields[i], ignored) || is_index(fields[i]);
        for (j = 0; j < i; j++)
            if (strcmp(fields[i], fields[j]) == 0)
                return fail("two columns have one name", fields[i]);
        for (j = 0; j < N_COLUMNS; j++)
            if (strcmp(fields[i], columns[j]) == 0) {
                places[j] = i;
                is_known = 1;
                n_found++;
            }
        if (!is_known)
            return fail("the pattern does not know it", fields[i]);
    }
    for (j = 0; j < N_COLUMNS; j++)
        if (places[j] < 0 && (n_found == 0 || !may_be_missing[j]))
            return fail("missing", columns[j]);
    return 0;
}

static void write_row(const double *answers, int with_probabilities)
{
    char number[40];
    int i;
    if (LABELS) {
        int best = 0;
        for (i = 1; i < N_ANSWERS; i++)
            best = answers[i] > answers[best] ? i : best;
        fputs(written[best], stdout);
    }
    for (i = 0; i < N_ANSWERS && (!LABELS || with_probabilities); i++) {
        write_number(number, answers[i]);
        if (LABELS || i > 0)
            putchar(',');
        fputs(number, stdout);
    }
    putchar('\n');
}

static void write_header(int with_probabilities)
{
    int i;
    for (i = 0; i < N_WRITTEN_NAMES && (i < N_OUTPUTS || with_probabilities); i++) {
        if (i > 0)
            putchar(',');
        fputs(written_names[i], stdout);
    }
    putchar('\n');
}

int main(int n_arguments, char **arguments)
{
    static struct ROW row;
    static char nothing[] = "";
    int places[N_COLUMNS], n_names, n_fields, has_failed = 0, j, problem;
    long blank = 0, n_rows = 0;
    double answers[N_ANSWERS];
    int with_probabilities = n_arguments > 1 && strcmp(arguments[1], "--probabilities") == 0;
    int first = getchar();
    if (first == 0xef) {
        if (getchar() != 0xbb || getchar() != 0xbf)
            return fail("the CSV is not UTF-8", "") != 0;
    } else
        ungetc(first, stdin);
    n_names = read_row(&has_failed);
    if (n_names <= 0)
        return has_failed || fail("the first line must name the columns", "") != 0;
    if (read_header(n_names, places) != 0)
        return 1;
    for (line++; (n_fields = read_row(&has_failed)) >= 0; line++) {
        char *cells[N_COLUMNS];
        if (n_fields == 0) {
            blank = blank ? blank : line;
            continue;
        }
        if (blank) {
            line = blank;
            return fail("empty, with more rows after it", "") != 0;
        }
        if (n_fields != n_names)
            return fail("another number of fields than the header has", "") != 0;
        for (j = 0; j < N_COLUMNS; j++) {
            cells[j] = places[j] < 0 ? nothing : stripped(fields[places[j]]);
            if (characters_in(cells[j]) < 0)
                return fail("the CSV is not UTF-8", "") != 0;
        }
        if (read_cells(cells, &row) != 0)
            return 1;
        problem = predict(&row, answers);
        if (problem)
            return fail("a value is too large for the network, or its answer is not a finite number", "") != 0;
        if (n_rows++ == 0)
            write_header(with_probabilities);
        write_row(answers, with_probabilities);
    }
    if (!has_failed && n_rows == 0)
        return fail("the CSV has a header and no rows", "") != 0;
    return has_failed;
}
