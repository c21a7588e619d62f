// The built pages as bytes of the program: each from its start to a byte of zero at its end.
    .section .rodata
    .macro page name file
    .global headlight_\name\()_page_start
    .global headlight_\name\()_page_end
    .hidden headlight_\name\()_page_start
    .hidden headlight_\name\()_page_end
headlight_\name\()_page_start:
    .incbin "\file"
headlight_\name\()_page_end:
    .byte 0
    .endm

    page study study_page.html
    page diff diff_page.html
    page inspect inspect_page.html
    page rank rank_page.html
    .section .note.GNU-stack,"",%progbits
