// SampleTokens: the tokens that the standards publish, and tokens that another library (PyJWT) made with keys of its own.
import Base
import Crypto
import Dialects

enum SampleTokens {
    /// RFC 7515 Appendix A.1, in base64url.
    static let rfcSecret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"

    /// Appendix A.1: signed well, for nobody, until 2011-03-22T18:43:00Z.
    static let rfcHS256 = """
        eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlL\
        mNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
        """

    /// Appendix A.2.
    static let rfcRS256 = """
        eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0c\
        nVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb\
        F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6\
        _dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig\
        cN_IoypGlUPQGe77Rw
        """

    /// Appendix A.3.
    static let rfcES256 = """
        eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0c\
        nVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q
        """

    /// RFC 8037 Appendix A.4: signed well, and no claims.
    static let rfcEdDSA = """
        eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4\
        ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg
        """

    /// The keys of the three, without ids.
    static let rfcKeySet = #"""
        {"keys":[{"kty":"RSA","e":"AQAB","n":"\#(rsaModulus)"},
        {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
        """#

    static let rsaModulus = """
        ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-\
        pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca\
        pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb5\
        4h4FRWyuXpoQ
        """

    /// The RSA key of Appendix A.2, as everybody may know it.
    static let rsaPEM = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj
        NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz
        P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo
        9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB
        EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX
        FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp
        oQIDAQAB
        -----END PUBLIC KEY-----
        """

    /// What PyJWT signed with, and the public halves of its key pairs; the key ids are the algorithms.
    static let foreignSecret = "0123456789abcdef0123456789abcdef"

    static let foreignKeySet = #"""
        {"keys":[{"kty":"RSA","n":"g_7PpScuoWKEModE7lDj8RPtVrtDbvHEQM2hXmHjycq7dPOb0yahA7hJJnVimKCIeTgRbmydaN64q6IQp\#
        yxyZtssTYzv4nz5MRgfWatiQmgwS7HpZfY451YZaKTpRizgXdJxACWemDblX3tNXCa8TRHEyiKZPR7NYiGFeeNedYOKuWQbk70RqVIpUYtqM\#
        Dh1f2bOI2sFc2CZwvZEOIV7siktdDsFxjvmuS5HIDb4UiVGRwMhb5bofXrGv674ZAXp2tK0ojxN3NqsZezCdkOf1JKU7rld5iXnxzBjxwmqw\#
        dPDPzGWjhadj3YnFR5OzlzP5oCLLanLv_PMBQe1AJ8Nnw","e":"AQAB","kid":"RS256","use":"sig","alg":"RS256"},{"kty":"E\#
        C","crv":"P-256","x":"OfChCa-WhUFxd_xiLUXCOxcsuxqY72sF-vx0BOjULrY","y":"EybOaNiGuATN962a9DEytMfuvBUz_dMWLAda\#
        mWWz5G8","kid":"ES256","use":"sig","alg":"ES256"},{"x":"fGyq4p_GI62t15O5LdkwjAkxcl5HeHAiwdKIpUXsHII","kty":"\#
        OKP","crv":"Ed25519","kid":"EdDSA","use":"sig","alg":"EdDSA"}]}
        """#

    /// Each says: sub 42, role publisher, two tasks, iss, aud of two, nbf 1700000000, exp 1700003600.
    static let foreignHS256 = """
        eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiIsInJvbGUiOiJwdWJsaXNoZXIiLCJ0YXNrcyI6WyJhIiwiMWU5NjUxZmQtN\
        mFhMS00YjJjLTlkNWUtMDEyMzQ1Njc4OWFiIl0sImlzcyI6Imh0dHBzOi8vaXNzdWVyLmV4YW1wbGUiLCJhdWQiOlsic2lnbmFsYm94Iiwib3R\
        oZXIiXSwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.gaXdtCNXI399MfyiIEyd8sz2daWFwK9KA\
        v6uvAMQkx4
        """

    static let foreignRS256 = """
        eyJhbGciOiJSUzI1NiIsImtpZCI6IlJTMjU2IiwidHlwIjoiSldUIn0.eyJzdWIiOiI0MiIsInJvbGUiOiJwdWJsaXNoZXIiLCJ0YXNrcyI6Wy\
        JhIiwiMWU5NjUxZmQtNmFhMS00YjJjLTlkNWUtMDEyMzQ1Njc4OWFiIl0sImlzcyI6Imh0dHBzOi8vaXNzdWVyLmV4YW1wbGUiLCJhdWQiOlsi\
        c2lnbmFsYm94Iiwib3RoZXIiXSwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.dH4t7vfabVRhYb\
        PQNlZwxqF2e2uH38EJgOs2z7X2fVRJ_asZO4sN3o4utRLNSBsXFmGOA4lZc45D2gf3j4RxCq0YRQh7fw1bbXmQ2Vns8gMsQkTrKa00dvMuwa3s\
        hMdYfHCJc15jSXhR1mv-ZU7XTrnXJcK1Gqj_FRz7KTzMCpuT7er2B9aLjKCmrG6ioCjCjOZQxTxqqPc_bnzdl8Z0CYg5ziC_aaGN2IR0boeP0M\
        Ghfxb_yXoF7ZTaJmMeza-OB0IwMpM57ViDliadHzFIFtrssJq1cIiKvMzyHVjOzP7UABn6Hhksy4Ccg5kwJfVJQZkj1cWW6R5smpc0WbJlhA
        """

    static let foreignES256 = """
        eyJhbGciOiJFUzI1NiIsImtpZCI6IkVTMjU2IiwidHlwIjoiSldUIn0.eyJzdWIiOiI0MiIsInJvbGUiOiJwdWJsaXNoZXIiLCJ0YXNrcyI6Wy\
        JhIiwiMWU5NjUxZmQtNmFhMS00YjJjLTlkNWUtMDEyMzQ1Njc4OWFiIl0sImlzcyI6Imh0dHBzOi8vaXNzdWVyLmV4YW1wbGUiLCJhdWQiOlsi\
        c2lnbmFsYm94Iiwib3RoZXIiXSwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.5MNHTUnam99X46\
        ChGgOi62SFSPh3ggdRNQCZ_R-HqXNaO3oD2XrW7vM6SIforZ70NOH19b7PSXFoPYP3yhSbvQ
        """

    static let foreignEdDSA = """
        eyJhbGciOiJFZERTQSIsImtpZCI6IkVkRFNBIiwidHlwIjoiSldUIn0.eyJzdWIiOiI0MiIsInJvbGUiOiJwdWJsaXNoZXIiLCJ0YXNrcyI6Wy\
        JhIiwiMWU5NjUxZmQtNmFhMS00YjJjLTlkNWUtMDEyMzQ1Njc4OWFiIl0sImlzcyI6Imh0dHBzOi8vaXNzdWVyLmV4YW1wbGUiLCJhdWQiOlsi\
        c2lnbmFsYm94Iiwib3RoZXIiXSwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.yMLCMoAhlWB_n1\
        T_4clVAkASOF1IUbXDlYN1oqqw3NdIDijYM110rfUisN3WeeF59ltwBscNfwvNTk1GkcPaCA
        """

    static func letters(_ bytes: Span<UInt8>) -> String {
        var writer = ByteWriter()
        Base64.encode(bytes, .urlSafe, into: &writer)
        return writer.seal().description
    }

    static func letters(_ text: String) -> String { letters(SharedBytes(text).span) }

    static func bytes(ofLetters text: String) throws -> SharedBytes {
        var writer = ByteWriter()
        try Base64.decode(SharedBytes(text).span, .urlSafe, into: &writer)
        return writer.seal()
    }

    /// A token of these two texts, signed with HMAC-SHA-256 whatever the header says.
    static func signed(header: String = #"{"alg":"HS256"}"#, claims: String, secret: String = foreignSecret) -> String {
        let message = letters(header) + "." + letters(claims)
        let code = HMAC.sha256(SharedBytes(message).span, key: SharedBytes(secret).span)
        return message + "." + letters(code.span)
    }
}
